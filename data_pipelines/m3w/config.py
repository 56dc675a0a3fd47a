"""The settings of the M3W builder."""

import dataclasses

from data_pipelines.copies.decontamination import Decontamination
from data_pipelines.copies.image_duplicates import ImageDuplicates
from data_pipelines.copies.page_duplicates import PageDuplicates
from data_pipelines.fetching.sharing import Fetching
from data_pipelines.image_rules import ImageRules
from data_pipelines.m3w.boilerplate import BoilerplateRules
from data_pipelines.m3w.frequency_rules import FrequencyRules
from data_pipelines.m3w.language_rules import LanguageRules
from data_pipelines.m3w.name_rules import NameRules
from data_pipelines.m3w.repetition_rules import RepetitionRules
from data_pipelines.m3w.safety import SafetyRules
from data_pipelines.m3w.text_rules import TextRules


@dataclasses.dataclass(frozen=True)
class M3WConfig:
    """The thresholds of all rules, and how images are fetched. A rule is switched off by a threshold that nothing can
    break."""

    boilerplate: BoilerplateRules = dataclasses.field(default_factory=BoilerplateRules)
    language: LanguageRules = dataclasses.field(default_factory=LanguageRules)
    safety: SafetyRules = dataclasses.field(default_factory=SafetyRules)
    text: TextRules = dataclasses.field(default_factory=TextRules)
    repetition: RepetitionRules = dataclasses.field(default_factory=RepetitionRules)
    names: NameRules = dataclasses.field(default_factory=NameRules)
    images: ImageRules = dataclasses.field(default_factory=ImageRules)
    frequency: FrequencyRules = dataclasses.field(default_factory=FrequencyRules)
    duplicates: PageDuplicates = dataclasses.field(default_factory=PageDuplicates)
    copies: ImageDuplicates = dataclasses.field(default_factory=ImageDuplicates)
    decontamination: Decontamination = dataclasses.field(default_factory=Decontamination)
    fetching: Fetching = dataclasses.field(default_factory=Fetching)
