from .report import TextReport as TextReport
from .report import forecast_texts as forecast_texts
from .text_drift import Forecast as Forecast
from .text_drift import forecast as forecast

__all__ = [
    "Forecast",
    "TextReport",
    "forecast",
    "forecast_texts",
]
