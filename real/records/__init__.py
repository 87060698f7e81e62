"""The record: log-probabilities of drawn text, one JSON line per text; all that most forecasts need."""

from real.records.pairs import read_pair as read_pair
from real.records.record import Decoding as Decoding
from real.records.record import Header as Header
from real.records.record import RecordError as RecordError
from real.records.record import RecordedText as RecordedText
from real.records.record import read_record as read_record
from real.records.write import write_record as write_record
