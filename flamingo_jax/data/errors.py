"""What can go wrong between a stored dataset and a batch. All of these survive pickling, so workers can raise them."""


class RecordError(ValueError):
    """This one record cannot become an example: it is malformed or its media cannot be decoded.

    The mixture replaces such a record by another and counts it; everything else that is raised stops the run.
    """


class MediaError(RecordError):
    """An image or a clip that cannot be decoded: truncated, corrupt, of an unknown format, or too large."""


class SkipRateError(RuntimeError):
    """So many records had to be replaced that the dataset, not the record, is at fault."""


class SourceError(OSError):
    """A dataset that is missing, half-built or unreadable."""
