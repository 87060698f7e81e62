"""What a pruned model's text will be like, before it writes any."""

from real.forecast.text_drift import Forecast as Forecast
from real.forecast.text_drift import forecast as forecast
