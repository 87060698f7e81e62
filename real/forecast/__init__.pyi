from .text_drift import Forecast as Forecast
from .text_drift import forecast as forecast

__all__ = [
    "Forecast",
    "forecast",
]
