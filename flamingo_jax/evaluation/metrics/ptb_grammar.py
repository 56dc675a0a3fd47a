"""What tokens of the Penn Treebank look like in captions: the rules of the tokenizer that CIDEr is defined with.

The COCO caption evaluation tokenizes with the PTBTokenizer of Stanford CoreNLP 3.4.1 under its default options. These
are that program's rules, in its order, in the syntax of `longest_match` (`\\l` is a letter, `\\u` a capital, `\\d` a
digit); the case of a letter matters in brackets only.
"""

import enum
from collections.abc import Callable

from flamingo_jax.evaluation.metrics.longest_match import Rule


class Edit(enum.Enum):
    """What becomes of a token's text."""

    KEEP = "as it is"
    DROP = "no token"
    NEWLINE = "ends the line"
    DASH = "--"
    HYPHENS = "three or four become --"
    DOTS = "..."
    OPENING_QUOTE = "an opening quotation mark"
    CLOSING_QUOTE = "a closing quotation mark"
    WORD = "without soft hyphens"
    AMPERSAND = "&amp; becomes &"
    CURRENCY = "as the treebank writes currencies"
    FRACTION = "in ASCII"
    SPACES = "spaces do not break"
    BRACKETS = "brackets by name"
    LESS = "<"
    GREATER = ">"
    GIVE_BACK_2 = "but for two letters, which are the next token"
    GIVE_BACK_3 = "but for three letters"
    ACRONYM = "and its period is a token too, except that one letter loses its own"
    ABBREVIATION = "and its period is a token too"


# Letters that Unicode has got since that program was built: it knows them as little as what lies beyond U+FFFF.
_NEWER = """
37f 528-52f 560 588 5ef 860-86a 870-887 889-88e 8a1 8ad-8c9 978 980 9fc af9 c34 c5a c5d c80 cdd d04 d54-d56 d5f de6-def
e86 e89 e8c e8e-e93 e98 ea0 ea8-ea9 eac 13f5 13f8-13fd 16f1-16f8 170d 171f 1878 191d-191e 19b0-19c0
19c8-19c9 1b4c 1c80-1c8a 1c90-1cba 1cbd-1cbf 1cf2-1cf3 1cfa 2c2f 2c5f 312e-312f 31bb-31bf 4db6-4dbf 9fcd-9fff a698-a69d
a78f a794-a79f a7ab-a7cd a7d0-a7dc a7f2-a7f7 a8fd-a8fe a9e0-a9e4 a9e6-a9fe aa7e-aa7f ab30-ab5a ab5c-ab69 ab70-abbf
"""


def _known() -> Callable[[str], bool]:
    newer = [[int(end, 16) for end in ends.split("-")] for ends in _NEWER.split()]
    unknown = {chr(code) for ends in newer for code in range(ends[0], ends[-1] + 1)}
    return lambda character: character <= "\uffff" and character not in unknown


_is_known = _known()
CLASSES: dict[str, Callable[[str], bool]] = {
    "l": lambda character: (character.isalpha() or character in "\u1885\u1886") and _is_known(character),
    "u": lambda character: character.isupper() and _is_known(character) and not "\u13a0" <= character <= "\u13f4",
    "d": lambda character: character.isdecimal() and _is_known(character),
}

_SPACE = "[ \t\u00a0\u2000-\u200a\u3000]"
_NEWLINE = "(\r|\r?\n|\u2028|\u2029|\u000b|\u000c|\u0085)"
_BLANK = f"({_SPACE}|{_NEWLINE})"
_NAME = "[A-Za-z][A-Za-z0-9_:.\\-]*"
_TAG = f"<([!?][A-Za-z\\-][^>\r\n]*|{_NAME}( +({_NAME}|{_NAME} *= *('[^']*'|\"[^\"]*\")))* *\\/?|\\/{_NAME}) *>"
_SENTENCE_START = f"{_BLANK}({_BLANK}|[\\u]|{_TAG})"
_ENTITY_LETTER = "&[aeiouAEIOU](acute|grave|uml);"
_DIGIT = "[\\d\u07c0-\u07c9]"
_DATE = f"{_DIGIT}{{1,2}}[\\-\\/]{_DIGIT}{{1,2}}[\\-\\/]{_DIGIT}{{2,4}}"
_NUM = f"({_DIGIT}+|{_DIGIT}*([.:,\u00ad\u066b\u066c]{_DIGIT}+)+)"
_NUMBER = f"[\\-+]?{_NUM}"
_RAISED = "[\u207a\u207b\u208a\u208b]?([\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+|[\u2080-\u2089]+)"
_FRACTION = f"({_DIGIT}{{1,4}}[\\- \u00a0])?{_DIGIT}{{1,4}}(\\\\?\\/|\u2044){_DIGIT}{{1,4}}"
_LETTER = (
    f"([\\l\u00ad\u0237-\u024f\u02c2-\u02c5\u02d2-\u02df\u02e5-\u02ff\u0300-\u036f\u0370-\u037d\u0384\u0385\u03cf"
    "\u03f6\u03fc-\u03ff\u0483-\u0487\u04cf\u04f6-\u04ff\u0510-\u0525\u055a-\u055f\u0591-\u05bd\u05bf\u05c1\u05c2"
    "\u05c4\u05c5\u05c7\u0615-\u061a\u063b-\u063f\u064b-\u065e\u0670\u06d6-\u06ef\u06fa-\u06ff\u070f\u0711"
    "\u0730-\u074f\u0750-\u077f\u07a6-\u07b1\u07ca-\u07f5\u07fa\u0900-\u0903\u093c\u093e-\u094e\u0951-\u0955"
    "\u0962-\u0963\u0981-\u0983\u09bc-\u09c4\u09c7\u09c8\u09cb-\u09cd\u09d7\u09e2\u09e3\u0a01-\u0a03\u0a3c"
    "\u0a3e-\u0a4f\u0a81-\u0a83\u0abc-\u0acf\u0b82\u0bbe-\u0bc2\u0bc6-\u0bc8\u0bca-\u0bcd\u0c01-\u0c03"
    "\u0c3e-\u0c56\u0d3e-\u0d44\u0d46-\u0d48\u0e30-\u0e3a\u0e47-\u0e4e\u0eb1-\u0ebc\u0ec8-\u0ecd]"
    f"|{_ENTITY_LETTER})"
)
_WORD = f"{_LETTER}({_LETTER}|{_DIGIT})*([.!?]{_LETTER}({_LETTER}|{_DIGIT})*)*"
_FILE = (
    f"({_LETTER}|{_DIGIT})+(\\.({_LETTER}|{_DIGIT})+)*\\."
    "(bat|bmp|c|class|cgi|cpp|dll|doc|docx|exe|gif|gz|h|htm|html|jar|java|jpeg|jpg|mov|mp3|pdf|php|pl|png|ppt|ps|py|"
    "sql|tar|txt|wav|x|xml|zip|wm[va]|avi|flv|mp[34g])"
)
_APOSTROPHE = "(['\u0092\u2019]|&apos;)"
_ANY_APOSTROPHE = f"({_APOSTROPHE}|[`\u0091\u2018\u201b])"
_HYPHEN = "[\\-_\u058a\u2010\u2011]"
_FRENCH = f"[dDoOlL]{_ANY_APOSTROPHE}[\\l\\d]"
_THING = f"({_FRENCH})?[\\l\\d]+({_HYPHEN}({_FRENCH})?[\\l\\d]+)*"
_JOINED = "[A-Z]+(([+&]|&amp;)[A-Z]+)+"  # AT&T
_SLASHED = "[A-Za-z0-9]+(-[A-Za-z]+){0,2}(\\\\?\\/[A-Za-z0-9]+(-[A-Za-z]+){0,2}){1,2}"  # and/or
_AUXILIARY = f"{_APOSTROPHE}([msdMSD]|re|ve|ll)"
_BEFORE_NOT = "[A-Za-z\u00ad]*[A-MO-Za-mo-z](\u00ad)*"
_NOT = f"n{_ANY_APOSTROPHE}t"
_WITH_APOSTROPHE = "|".join(
    (
        f"{_APOSTROPHE}n{_APOSTROPHE}?",
        f"[lLdDjJ]{_APOSTROPHE}",
        f"(Dunkin|somethin|ol){_APOSTROPHE}",
        f"{_APOSTROPHE}(em|[2-9]0s|till?|cause)",
        f"[A-HJ-XZn]{_ANY_APOSTROPHE}[\\l]{{2}}[\\l]*",
        f"[\\l][\\l]*[aeiouyAEIOUY]{_ANY_APOSTROPHE}[aeiouA-Z][\\l]*",
        f"O{_ANY_APOSTROPHE}o",
        "cont'd\\.?|nor'easter|c'mon|e'er|s'mores|ev'ry|li'l|nat'l",
    )
)
_URL = 'https?:\\/\\/[^ \t\n\u000c\r"<>|(){}]+[^ \t\n\u000c\r"<>|.!?(){},\\-]'
_LIKELY_URL = (
    '((www\\.([^ \t\n\u000c\r"<>|.!?(){},]+\\.)+[a-zA-Z]{2,4})'
    "|(([^ \t\n\u000c\r\"`'<>|.!?(){},-_$]+\\.)+(com|net|org|edu)))"
    '(\\/[^ \t\n\u000c\r"<>|()]+[^ \t\n\u000c\r"<>|.!?(){},\\-])?'
)
_EMAIL = (
    '(&lt;|<)?[a-zA-Z0-9][^ \t\n\u000c\r"<>|()\u00a0{}]*@([^ \t\n\u000c\r"<>|(){}.\u00a0]+\\.)*'
    '([^ \t\n\u000c\r"<>|(){}.\u00a0]+)(&gt;|>)?'
)
_HANDLE = f"@[a-zA-Z_][a-zA-Z_0-9]*|#{_LETTER}+"

_MONTHS = "Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec"
_DAYS = "Mon|Tue|Tues|Wed|Thu|Thurs|Fri"
_STATES = (
    "Ala|Ariz|[A]z|[A]rk|Calif|Colo|Conn|Ct|Dak|[D]el|Fla|Ga|[I]ll|Ind|Kans?|Ky|[L]a|[M]ass|Md|Mich|Minn|[M]iss|Mo|"
    "Mont|Neb|Nev|Okla|[O]re|[P]a|Penn|Tenn|[T]ex|Va|Vt|[W]ash|Wisc?|Wyo"
)
_COMPANIES = "Inc|Cos?|Corp|Pp?t[ye]s?|Ltd|Plc|Rt|Bancorp|Bhd|Assn|Univ|Intl|Sys"
_BEFORE_NUMBERS = "tel|est|ext|sq"
_AFTER_NAMES = "Jr|Sr|Bros|(Ed|Ph)\\.D|Blvd|Rd|Esq"
_OFTEN_LAST = f"({_MONTHS}|{_DAYS}|{_STATES}|{_COMPANIES}|{_BEFORE_NUMBERS}|{_AFTER_NAMES}|etc|al|seq|Bldg)\\."
_ACRONYM = "([A-Za-z](\\.[A-Za-z])*|(Canada|Sino|Korean|EU|Japan|non)-U\\.S|U\\.S\\.-(U\\.K|U\\.S\\.S\\.R))"
_LONG_ACRONYM = "([A-Za-z](\\.[A-Za-z])+|(Canada|Sino|Korean|EU|Japan|non)-U\\.S|U\\.S\\.-(U\\.K|U\\.S\\.S\\.R))"
_TITLES = (
    "Mr|Mrs|Ms|[M]iss|Drs?|Profs?|Sens?|Reps?|Attys?|Lt|Col|Gen|Messrs|Govs?|Adm|Rev|Maj|Sgt|Cpl|Pvt|Mt|Ft|Capt|Ste?|"
    "Ave|Pres|Lieut|Hon|Brig|Co?mdr|Pfc|Spc|Supts?|Det|Adj|Adv|Asst|Assoc|Ens|Insp|Mlle|Mme|Msgr|Sfc"
)
_SELDOM_LAST = f"({_TITLES}|vs|Alex|Wm|Jos|Cie|a\\.k\\.a|cf|TREAS|{_ACRONYM}|Invt|Elec|Natl|M[ft]g|Dept|Ph)"
_OPENERS = (
    "([A]bout|[A]ccording|[A]dditionally|[A]fter|[A]n|[A]|[A]s|[A]t|[B]ut|[E]arlier|[H]e|[H]er|[H]ere|[H]owever|[I]f|"
    "[I]n|[I]t|[L]ast|[M]any|[M]ore|[M]r\\.|[M]s\\.|[N]ow|[O]nce|[O]ne|[O]ther|[O]ur|[S]he|[S]ince|[S]o|[S]ome|[S]uch|"
    "[T]hat|[T]he|[T]heir|[T]hen|[T]here|[T]hese|[T]hey|[T]his|[W]e|[W]hen|[W]hile|[W]hat|[Y]et|[Y]ou)"
)
_BEFORE_A_NUMBER = "(ca|figs?|prop|nos?|art|bldg|pp|op)\\."

_PHONE = (
    "(\\([0-9]{2,3}\\)[ \u00a0]?|(\\+\\+?)?([0-9]{2,4}[\\- \u00a0])?[0-9]{2,4}[\\- \u00a0])"
    "[0-9]{3,4}[\\- \u00a0]?[0-9]{3,5}|((\\+\\+?)?[0-9]{2,4}\\.)?[0-9]{2,4}\\.[0-9]{3,4}\\.[0-9]{3,5}"
)
_DOTS = "\\.{3,5}|[\u0085\u2026]"
_SPACED_DOTS = "\\.[ \u00a0](\\.[ \u00a0])+\\."
_HYPHENATED = f"[A-Za-z0-9][A-Za-z0-9.,\u00ad]*(-([A-Za-z0-9\u00ad]+|{_LONG_ACRONYM}\\.))+"
_IN_SENTENCE = "[,;:\u3001]"
_QUOTES = f"({_APOSTROPHE}|''|[`\u2018-\u201f\u0091-\u0094\u2039\u203a\u00ab\u00bb]{{1,2}})"
_DOUBLE_QUOTE = '("|&quot;)'
_SPECIAL = (
    f"-(RRB|LRB|RCB|LCB|RSB|LSB)-|C\\.D\\.s|pro-|anti-|S(&|&amp;)P-500|S(&|&amp;)Ls|Cap{_APOSTROPHE}n|c{_APOSTROPHE}est"
)
_SMILEY = "[<>]?[:;=][\\-o*']?[()DPdpO\\\\{@|\\[\\]]"
_ASIAN_SMILEY = (
    "[\\^x=~<>]\\.\\[\\^x=~<>\\]|[\\-\\^x=~<>']_[\\-\\^x=~<>']|\\([\\-\\^x=~<>'][_.]?[\\-\\^x=~<>']\\)"
    "|\\([\\^x=~<>']-[\\^x=~<>'`]\\)"
)
_SYMBOL = (
    "[+%&~\\^|\\\\\u00a6\u00a7\u00a8\u00a9\u00ac\u00ae\u00af\u00b0-\u00b3\u00b4-\u00ba\u00d7\u00f7\u0387\u05be\u05c0"
    "\u05c3\u05c6\u05f3\u05f4\u0600-\u0603\u0606-\u060a\u060c\u0614\u061b\u061e\u066a\u066d\u0703-\u070d\u07f6\u07f7"
    "\u07f8\u0964\u0965\u0e4f\u1fbd\u2016\u2017\u2020-\u2023\u2030-\u2038\u203b\u203e-\u2042\u2044\u207a-\u207f"
    "\u208a-\u208e\u2100-\u214f\u2190-\u21ff\u2200-\u2bff\u3012\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40"
    "\uff5b-\uff65]"
)

GRAMMAR: tuple[tuple[Rule, Edit], ...] = (
    (Rule("c\\+\\+|(c|f)#"), Edit.KEEP),
    (Rule("cannot|'twas"), Edit.GIVE_BACK_3),
    (Rule("'tis|gonna|gotta|lemme|gimme|wanna"), Edit.GIVE_BACK_2),
    (Rule(_TAG), Edit.SPACES),
    (Rule("&(MD|mdash|ndash);|[\u0096\u0097\u2013\u2014\u2015]"), Edit.DASH),
    (Rule("&amp;"), Edit.AMPERSAND),
    (Rule("&(HT|TL|UR|LR|QC|QL|QR|odq|cdq|#[0-9]+);"), Edit.KEEP),
    (Rule(_WORD, _AUXILIARY), Edit.WORD),
    (Rule(_BEFORE_NOT, _NOT), Edit.WORD),
    (Rule(_WORD), Edit.WORD),
    (Rule(_WITH_APOSTROPHE), Edit.KEEP),
    (Rule(f"y{_APOSTROPHE}", "[\\l]"), Edit.KEEP),
    (Rule(_URL), Edit.KEEP),
    (Rule(_LIKELY_URL), Edit.KEEP),
    (Rule(_EMAIL), Edit.KEEP),
    (Rule(_HANDLE), Edit.KEEP),
    (Rule(_AUXILIARY, "[^A-Za-z]"), Edit.CLOSING_QUOTE),
    (Rule(_NOT, "[^A-Za-z]"), Edit.CLOSING_QUOTE),
    (Rule(_DATE), Edit.KEEP),
    (Rule(_NUMBER), Edit.WORD),
    (Rule(_RAISED), Edit.KEEP),
    (Rule(_FRACTION), Edit.SPACES),
    (Rule("[\u00bc\u00bd\u00be\u2153-\u215e]"), Edit.FRACTION),
    (Rule(_SPECIAL), Edit.AMPERSAND),
    (Rule(_SLASHED), Edit.KEEP),
    (Rule("[A-Z]*\\$|#"), Edit.KEEP),
    (
        Rule("[\u00a2\u00a3\u00a4\u00a5\u0080\u20a0\u20ac\u060b\u0e3f\u20a4\uffe0\uffe1\uffe5\uffe6]"),
        Edit.CURRENCY,
    ),
    (Rule(f"{_ACRONYM}\\.", f"{_BLANK}+({_OPENERS}|{_TAG}){_BLANK}"), Edit.ACRONYM),
    (Rule(_BEFORE_A_NUMBER, f"{_BLANK}?[\\d]"), Edit.KEEP),
    (Rule("(pt[eyEY]|co)\\.", f"{_SPACE}(ltd|lim)"), Edit.KEEP),
    (Rule(_OFTEN_LAST, _SENTENCE_START), Edit.ABBREVIATION),
    (Rule(_OFTEN_LAST, "[^][^]"), Edit.KEEP),
    (Rule(_OFTEN_LAST), Edit.ABBREVIATION),
    (Rule(f"{_SELDOM_LAST}\\."), Edit.KEEP),
    (Rule(_SELDOM_LAST, _SPACE), Edit.KEEP),
    (Rule(_ACRONYM, _BLANK), Edit.KEEP),
    (Rule(f"{_APOSTROPHE}[0-9][0-9]", _BLANK), Edit.KEEP),
    (Rule(_FILE, f"({_BLANK}|[.?!,])"), Edit.KEEP),
    (Rule(f"{_WORD}\\.", _IN_SENTENCE), Edit.WORD),
    (Rule(_PHONE), Edit.BRACKETS),
    (Rule(_DOUBLE_QUOTE, "[A-Za-z0-9$]"), Edit.OPENING_QUOTE),
    (Rule(_DOUBLE_QUOTE), Edit.CLOSING_QUOTE),
    (Rule("\u007f"), Edit.DROP),
    (Rule("<|&lt;"), Edit.LESS),
    (Rule(">|&gt;"), Edit.GREATER),
    (Rule(_SMILEY, "[^A-Za-z0-9]"), Edit.BRACKETS),
    (Rule(_ASIAN_SMILEY), Edit.BRACKETS),
    (Rule("[{}\\[\\]()]"), Edit.BRACKETS),
    (Rule("-+"), Edit.HYPHENS),
    (Rule(f"{_DOTS}|{_SPACED_DOTS}"), Edit.DOTS),
    (Rule("@+|#+|_+"), Edit.KEEP),
    (Rule("\\*+|(\\\\\\*){1,3}"), Edit.KEEP),
    (Rule(_IN_SENTENCE), Edit.KEEP),
    (Rule("[?!]+"), Edit.KEEP),
    (Rule("[.\u00a1\u00bf\u037e\u0589\u061f\u06d4\u0700-\u0702\u07fa\u3002]"), Edit.KEEP),
    (Rule("="), Edit.KEEP),
    (Rule("\\/"), Edit.KEEP),
    (Rule(f"{_HYPHENATED}\\.", _IN_SENTENCE), Edit.WORD),
    (Rule(_HYPHENATED), Edit.WORD),
    (Rule(f"{_THING}\\.", _IN_SENTENCE), Edit.KEEP),
    (Rule(_THING), Edit.KEEP),
    (Rule(f"{_JOINED}\\.", _IN_SENTENCE), Edit.AMPERSAND),
    (Rule(_JOINED), Edit.AMPERSAND),
    (Rule("'", "[A-Za-z][^ \t\n\r\u00a0]"), Edit.OPENING_QUOTE),
    (Rule(_AUXILIARY), Edit.CLOSING_QUOTE),
    (Rule(_NOT), Edit.CLOSING_QUOTE),
    (Rule(_QUOTES), Edit.CLOSING_QUOTE),
    (Rule("<<|>>"), Edit.KEEP),
    (Rule(_SYMBOL), Edit.KEEP),
    (Rule(f"\u0000|{_SPACE}+|[\u200b\u200e-\u200f\ufeff]"), Edit.DROP),
    (Rule(_NEWLINE), Edit.NEWLINE),
    (Rule("&nbsp;"), Edit.DROP),
)
