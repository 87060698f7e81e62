from .pairs import read_pair as read_pair
from .record import Decoding as Decoding
from .record import Header as Header
from .record import RecordedText as RecordedText
from .record import RecordError as RecordError
from .record import read_record as read_record
from .write import write_record as write_record
