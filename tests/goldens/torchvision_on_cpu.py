"""Import this before timm, open_clip and transformers, so that torchvision loads beside a CPU build of torch.

Torchvision's wheel is compiled for torch's GPU build, so its operators do not load here. All that then stops the import
is one module that describes those operators to torch's tracer. An empty module in its place is enough for the rest,
which is plain Python: models, transforms, and what the peers take from them.
"""

import sys
import types

_DESCRIPTIONS = "torchvision._meta_registrations"
sys.modules.setdefault(_DESCRIPTIONS, types.ModuleType(_DESCRIPTIONS))
