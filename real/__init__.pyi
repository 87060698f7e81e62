from .cache import cache_folder as cache_folder
from .forecast.report import TextReport as TextReport
from .forecast.report import forecast_texts as forecast_texts
from .models.checkpoint import ModelUnavailableError as ModelUnavailableError
from .models.load import LanguageModel as LanguageModel
from .models.load import from_memory as from_memory
from .models.load import load as load
from .models.load import load_encoder as load_encoder
from .models.save import save as save
from .pruning.apply import prune as prune
from .pruning.apply import pruned as pruned
from .pruning.choose import Sublayers as Sublayers
from .pruning.choose import choose_sublayers as choose_sublayers
from .pruning.spec import Spec as Spec
from .pruning.spec import SpecError as SpecError
from .pruning.spec import parse_spec as parse_spec
from .scores.forecast import forecast_scores as forecast_scores
from .scores.paired import compare_scores as compare_scores
from .structure.anatomy import Anatomy as Anatomy
from .structure.anatomy import AnatomyError as AnatomyError
from .structure.recognise import anatomy as anatomy
from .text.sample import Samples as Samples
from .text.sample import sample as sample
from .tracing import sublayer_logits as sublayer_logits
from .tracing import trace_joint as trace_joint
from .tracing import trace_sublayers as trace_sublayers
from .tracing.free_running import FreeRunning as FreeRunning
from .tracing.free_running import free_running as free_running

__all__ = [
    "Anatomy",
    "AnatomyError",
    "FreeRunning",
    "LanguageModel",
    "ModelUnavailableError",
    "Samples",
    "Spec",
    "SpecError",
    "Sublayers",
    "TextReport",
    "anatomy",
    "cache_folder",
    "choose_sublayers",
    "compare_scores",
    "forecast_scores",
    "forecast_texts",
    "free_running",
    "from_memory",
    "load",
    "load_encoder",
    "parse_spec",
    "prune",
    "pruned",
    "sample",
    "save",
    "sublayer_logits",
    "trace_joint",
    "trace_sublayers",
]
