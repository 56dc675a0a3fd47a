"""TPU chips and the slices that they are rented in: what a program is planned for on a machine without accelerators.

Sources of the numbers, by the names used below:

- Cloud: Google's pages "TPU v4", "TPU v5e", "TPU v5p" and "TPU v6e" (cloud.google.com/tpu/docs/v4 and so on).
- Book: Austin et al., "How to Scale Your Model", chapter "How to Think About TPUs"
  (jax-ml.github.io/scaling-book/tpus).
- Compiler: the limit that libtpu 0.0.52 names when a program does not fit.
"""

import dataclasses
import math
import re
from typing import Any

from jax.experimental import topologies

from flamingo_jax.config import ConfigError

_GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Chip:
    """Facts about one kind of chip.

    Attributes:
      name: as in a topology's name.
      peak_flops: bfloat16 multiplications and additions a second (Cloud, "Peak compute per chip").
      matrix_units: matrix units of a chip, and `matrix_side` the side of one: a unit does side x side multiply-adds a
        cycle (Cloud, "System architecture"; Book, appendix B).
      clock_hz: what turns the compiler's cycles into seconds. It is not published for every chip, but follows from the
        three above: peak_flops = matrix_units x 2 x matrix_side^2 x clock_hz. Book names 1.5 GHz for v5e.
      hbm_bytes: what a program may use of a chip's memory (Compiler: 30.75, 15.75, 95.73 and 31.24 GiB of the 32, 16,
        95 and 32 that Cloud names).
      hbm_bandwidth: bytes a second (Cloud).
      link_bandwidth: bytes a second of one link between neighbouring chips, in one direction (Book, "one-way").
        Cloud's "bidirectional bandwidth per chip" is both directions of all links: 1,200 GB/s = 6 links x 2 x 100.
      dimensions: of the torus, so a chip has twice as many links.
      pod: the largest slice, chips (Cloud).
      dcn_bandwidth: bytes a second of a chip's share of its host's network, in one direction (Cloud: v5e 2 and v6e 4
        cards of 100 and 200 Gbit/s for 8 chips, v5p 50 Gbit/s a chip; Book: 25 GB/s a host, which is v4's here).
      host_bandwidth: bytes a second between a chip and its host's memory (Book: about 15 GB/s, v6e 32).
      options: what the compiler must be told besides the topology's name. A v4 chip is one device of JAX with two
        cores, "megacore"; without the option libtpu makes each core a device with half of the memory.
    """

    name: str
    peak_flops: float
    matrix_units: int
    matrix_side: int
    clock_hz: float
    hbm_bytes: int
    hbm_bandwidth: float
    link_bandwidth: float
    dimensions: int
    pod: int
    dcn_bandwidth: float
    host_bandwidth: float
    options: tuple[tuple[str, str], ...] = ()


CHIPS = {
    chip.name: chip
    for chip in (
        Chip(
            name="v4",
            peak_flops=275e12,
            matrix_units=8,
            matrix_side=128,
            clock_hz=1.05e9,
            hbm_bytes=int(30.75 * _GIB),
            hbm_bandwidth=1.2e12,
            link_bandwidth=4.5e10,
            dimensions=3,
            pod=4096,
            dcn_bandwidth=25e9 / 4,
            host_bandwidth=1.5e10,
            options=(("chip_config_name", "megacore"),),
        ),
        Chip(
            name="v5e",
            peak_flops=197e12,
            matrix_units=4,
            matrix_side=128,
            clock_hz=1.5e9,
            hbm_bytes=int(15.75 * _GIB),
            hbm_bandwidth=8.19e11,
            link_bandwidth=5e10,
            dimensions=2,
            pod=256,
            dcn_bandwidth=200e9 / 8 / 8,
            host_bandwidth=1.5e10,
        ),
        Chip(
            name="v5p",
            peak_flops=459e12,
            matrix_units=8,
            matrix_side=128,
            clock_hz=1.75e9,
            hbm_bytes=int(95.73 * _GIB),
            hbm_bandwidth=2.765e12,
            link_bandwidth=1e11,
            dimensions=3,
            pod=6144,
            dcn_bandwidth=50e9 / 8,
            host_bandwidth=1.5e10,
        ),
        Chip(
            # Earlier editions of Cloud's page give 4 matrix units, later ones 2, for the same peak. With 2 the clock
            # would be 3.5 GHz, and the compiler's cycles of a large product fewer than 2 units could do it in.
            name="v6e",
            peak_flops=918e12,
            matrix_units=4,
            matrix_side=256,
            clock_hz=1.75e9,
            hbm_bytes=int(31.24 * _GIB),
            hbm_bandwidth=1.638e12,
            link_bandwidth=1e11,
            dimensions=2,
            pod=256,
            dcn_bandwidth=800e9 / 8 / 8,
            host_bandwidth=3.2e10,
        ),
    )
}


@dataclasses.dataclass(frozen=True)
class Topology:
    """One or more slices of the same shape, chips of one kind in a torus.

    Raises:
      ConfigError: there is no such slice.
    """

    chip: Chip
    shape: tuple[int, ...]
    slices: int = 1

    def __post_init__(self):
        name, kind = self.name, self.chip.name
        if not isinstance(self.slices, int) or self.slices < 1:
            raise ConfigError(f"the number of slices must be a positive integer, got {self.slices!r}")
        if len(self.shape) != self.chip.dimensions:
            example = "x".join("8" * self.chip.dimensions)
            raise ConfigError(
                f"topology {name}: a slice of {kind} has {self.chip.dimensions} dimensions, as in {kind}:{example}"
            )
        if self._chips_a_slice > self.chip.pod:
            raise ConfigError(
                f"topology {name} has {self._chips_a_slice} chips, the largest slice of {kind} {self.chip.pod}: "
                "use several slices (--slices)"
            )
        longest = 16 if self.chip.dimensions == 2 else self.chip.pod
        possible = all(size in (1, 2) or (0 < size <= longest and size % 4 == 0) for size in self.shape)
        if self.chip.dimensions == 2:
            possible = possible and all(size & (size - 1) == 0 for size in self.shape)
        # A host has 2x2 chips of the first two dimensions.
        if not possible or (self._chips_a_slice > 1 and 1 in self.shape[:2]):
            sizes = "1, 2, 4, 8 or 16" if self.chip.dimensions == 2 else "1, 2 or multiples of 4"
            raise ConfigError(
                f"topology {name}: there is no such slice of {kind}. Its dimensions are {sizes}, the first two at "
                "least 2 unless it is one chip"
            )

    @property
    def name(self) -> str:
        """As the compiler and `parse_topology` read it, e.g. "v5p:8x12x16"."""
        return f"{self.chip.name}:{'x'.join(map(str, self.shape))}"

    @property
    def chips(self) -> int:
        """In all slices."""
        return self._chips_a_slice * self.slices

    @property
    def _chips_a_slice(self) -> int:
        return math.prod(self.shape)

    @property
    def wraps(self) -> tuple[bool, ...]:
        """Whether the links of each dimension close to a ring.

        Those of v4 and v5p do where the slice is made of whole cubes of 4x4x4, because the optical switches sit between
        cubes; those of v5e and v6e where a dimension is the pod's whole 16 (Book).
        """
        if self.chip.dimensions == 3:
            return (all(size % 4 == 0 for size in self.shape),) * 3
        return tuple(size == 16 for size in self.shape)

    def devices(self) -> list[Any]:
        """Devices of JAX to compile for, one a chip; nothing can be run on them.

        Raises:
          ConfigError: the compiler is not installed, is in use by another process, or does not know the topology.
        """
        options = dict(self.chip.options) | ({"num_slices": self.slices} if self.slices > 1 else {})
        try:
            devices = list(topologies.get_topology_desc(self.name, platform="tpu", **options).devices)
        except Exception as error:
            raise ConfigError(_why_not(self.name, error)) from error
        if len(devices) != self.chips:
            raise ConfigError(
                f"libtpu gave {len(devices)} devices for the {self.chips} chips of {self.name}: install the version "
                "that constraints/ names"
            )
        return devices


def parse_topology(text: str, slices: int = 1) -> Topology:
    """Reads e.g. "v5p:8x12x16".

    Args:
      text: the chip and the shape of a slice.
      slices: how many of them.

    Raises:
      ConfigError: the text is malformed, the chip unknown or the shape impossible.
    """
    match = re.fullmatch(r"([^:]*):(\d+(?:x\d+)*)", text)
    if match is None:
        raise ConfigError(f"cannot read the topology {text!r}: write chip:shape, e.g. v5p:8x12x16 or v5e:16x16")
    kind, shape = match.groups()
    if kind not in CHIPS:
        raise ConfigError(f"unknown chip {kind!r} in the topology {text!r}: use one of {', '.join(CHIPS)}")
    return Topology(CHIPS[kind], tuple(map(int, shape.split("x"))), slices)


def compiler_environment() -> dict[str, str]:
    """Environment variables for compiling without a TPU, to be set by an entry point before the first use of JAX.

    JAX itself runs on the CPU. libtpu asks no metadata server who it is (it would warn on stderr that none answers),
    and does without the lock that lets one process of a machine have the chips.
    """
    return {
        "JAX_PLATFORMS": "cpu",
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "TPU_ACCELERATOR_TYPE": "v5p-8",  # any; the compiler takes the topology's
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    }


def _why_not(name: str, error: Exception) -> str:
    text = str(error)
    if "lockfile" in text:
        return (
            f"cannot compile for {name}: another process uses libtpu. Wait for it, or set ALLOW_MULTIPLE_LIBTPU_LOAD=1"
        )
    # JAX has no error of its own for a missing libtpu: it is an import that fails, or a plugin that is not known.
    if isinstance(error, ImportError) or "not installed" in text or "libtpu.so" in text:
        return f"cannot compile for {name} without libtpu: pip install 'flamingo-jax[plan]' ({text.splitlines()[0]})"
    return f"libtpu does not know the topology {name}: {text.splitlines()[0] if text else type(error).__name__}"
