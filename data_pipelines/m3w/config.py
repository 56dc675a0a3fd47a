"""The settings of the M3W builder."""

import dataclasses

from data_pipelines.m3w.boilerplate import BoilerplateRules
from data_pipelines.m3w.frequency_rules import FrequencyRules
from data_pipelines.m3w.image_rules import ImageRules
from data_pipelines.m3w.repetition_rules import RepetitionRules
from data_pipelines.m3w.text_rules import TextRules


@dataclasses.dataclass(frozen=True)
class M3WConfig:
    """The thresholds of all rules. A rule is switched off by a threshold that nothing can break."""

    boilerplate: BoilerplateRules = dataclasses.field(default_factory=BoilerplateRules)
    text: TextRules = dataclasses.field(default_factory=TextRules)
    repetition: RepetitionRules = dataclasses.field(default_factory=RepetitionRules)
    images: ImageRules = dataclasses.field(default_factory=ImageRules)
    frequency: FrequencyRules = dataclasses.field(default_factory=FrequencyRules)
