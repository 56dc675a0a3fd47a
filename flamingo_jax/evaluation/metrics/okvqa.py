"""OK-VQA accuracy as OpenFlamingo evaluates it: words are brought to the stems that the data set's answers have.

OK-VQA (Marino et al. 2019) publishes stemmed answers without saying how they were made; OpenFlamingo
(`eval/ok_vqa_utils.py`) found a procedure that gives nearly the same, with a table of what it misses.
"""

import functools
from collections.abc import Sequence

from flamingo_jax.evaluation.metrics.english.tagger import tags
from flamingo_jax.evaluation.metrics.english.wordnet import wordnet
from flamingo_jax.evaluation.metrics.english.words import NLTK_3_8_1, words
from flamingo_jax.evaluation.metrics.vqa import vqa_accuracy_always_normalized
from flamingo_jax.evaluation.metrics.vqa_rules import cut

# Stems that the rules do not give, word:stem.
_IRREGULAR = """
police:police las:las vegas:vegas yes:yes jeans:jean hell's:hell domino's:domino morning:morn clothes:cloth are:are
riding:ride leaves:leaf dangerous:danger clothing:cloth texting:text kiting:kite firefighters:firefight ties:tie
married:married teething:teeth gloves:glove tennis:tennis dining:dine directions:direct waves:wave christmas:christmas
drives:drive pudding:pud coding:code plating:plate quantas:quanta hornes:horn graves:grave mating:mate paned:pane
alertness:alert sunbathing:sunbath tenning:ten wetness:wet urinating:urine sickness:sick braves:brave
firefighting:firefight lenses:lens reflections:reflect backpackers:backpack eatting:eat designers:design
curiousity:curious playfulness:play blindness:blind hawke:hawk tomatoe:tomato rodeoing:rodeo brightness:bright
circuses:circus skateboarders:skateboard staring:stare electronics:electron electicity:elect mountainous:mountain
socializing:social hamburgers:hamburg caves:cave transitions:transit wading:wade creame:cream toileting:toilet
sautee:saute buildings:build belongings:belong stockings:stock walle:wall cumulis:cumuli travelers:travel
conducter:conduct browsing:brows pooping:poop haircutting:haircut toppings:top hearding:heard sunblocker:sunblock
bases:base markings:mark mopeds:mope kindergartener:kindergarten pies:pie scrapbooking:scrapbook couponing:coupon
meetings:meet elevators:elev lowes:low men's:men childrens:children shelves:shelve paintings:paint raines:rain
paring:pare expressions:express routes:rout pease:peas vastness:vast awning:awn boy's:boy drunkenness:drunken
teasing:teas conferences:confer ripeness:ripe suspenders:suspend earnings:earn reporters:report kid's:kid
containers:contain corgie:corgi porche:porch microwaves:microwave batter's:batter sadness:sad apartments:apart
oxygenize:oxygen striping:stripe purring:pure professionals:profession piping:pipe farmer's:farmer potatoe:potato
emirates:emir womens:women veteran's:veteran wilderness:wilder propellers:propel alpes:alp charioteering:chariot
swining:swine illness:ill crepte:crept adhesives:adhesive regent's:regent decorations:decor rabbies:rabbi
overseas:oversea travellers:travel casings:case smugness:smug doves:dove nationals:nation mustange:mustang ringe:ring
gondoliere:gondolier vacationing:vacate reminders:remind baldness:bald settings:set glaced:glace coniferous:conifer
revelations:revel personals:person daughter's:daughter badness:bad projections:project polarizing:polar
vandalizers:vandal minerals:miner protesters:protest controllers:control weddings:wed sometimes:sometime earing:ear
"""
_STEMS = dict(pair.split(":") for pair in _IRREGULAR.split())


def okvqa_accuracy(prediction: str, answers: Sequence[str]) -> float:
    """VQA accuracy in 0..1 of a prediction that is cut and stemmed first.

    Args:
      prediction: what the model wrote.
      answers: the data set's stemmed answers, each of five people's listed twice as in its annotation file; they are
        taken as they are. `stem` stems raw answers.

    Raises:
      ValueError: there is no answer.
      ImportError: the packages of the extra `eval` are not installed.
    """
    return vqa_accuracy_always_normalized(stem(cut(prediction)), answers)


def stem(text: str) -> str:
    """The stems of a phrase's words, joined by spaces; which words are plural nouns depends on the whole phrase.

    Raises:
      ImportError: the packages of the extra `eval` are not installed.
    """
    tokens = words(text, NLTK_3_8_1)
    return " ".join(_stem(token, tag) for token, tag in zip(tokens, tags(tokens), strict=True))


def _stem(word: str, tag: str) -> str:
    if word in _STEMS:
        return _STEMS[word]
    if word.endswith("ing"):
        return wordnet().lemma(word, "v")
    return _inflection().singularize(word) if tag in ("NNS", "NNPS") else word


@functools.cache
def _inflection():
    try:
        import inflection
    except ImportError as error:
        raise ImportError('OK-VQA needs inflection: pip install "flamingo-jax[eval]"') from error
    return inflection
