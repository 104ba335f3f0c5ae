"""Choose the series of an upload: the requested one, else the best. A note names the others."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ich_lib.grammar import count, listed
from ich_lib.readers.header import Slice
from ich_lib.readers.ranking import ranked
from ich_lib.readers.refusal import ReadError
from ich_lib.readers.series import Series, series_of
from ich_lib.readers.tilts import tilt_deg
from ich_lib.scan import Scan

_MOST_NAMED = 8  # in one sentence
_MOST_REFUSED = 3
_FEWEST_SINGLES = 3  # series of one slice each, which are not real series


def read_chosen_series(
    slices: list[Slice], choice: int | str | None, name: str, read_series: Callable[[list[Slice]], Scan]
) -> Scan:
    """Read the requested series; without a request, the best one that can be read.

    Args:
        slices: CT slices of any series.
        choice: number of a series, see `Series`, or its description; None for the best, see `ranking`.
        name: of the upload, for messages.
        read_series: function from the slices of one series to a scan.

    Returns:
        The scan, with the list of all series and with notes on the choice.

    Raises:
        ReadError: if the requested series is missing or not unique, or if no series can be read.
    """
    all_series = series_of(slices)
    if choice is not None:
        wanted = _choose_series(all_series, choice, name)
        return _describe_series(read_series(list(wanted.slices)), wanted, all_series, ())
    if len(all_series) >= _FEWEST_SINGLES and all(len(series.slices) == 1 for series in all_series):
        raise _single_slices(all_series, name)
    refusals: list[tuple[Series, ReadError]] = []
    for candidate in ranked(all_series):
        try:
            scan = read_series(list(candidate.slices))
        except ReadError as problem:
            refusals.append((candidate, problem))
        else:
            notes = tuple(
                f"Could not be read: {series.name}. {refusal.reason}" for series, refusal in refusals[:_MOST_REFUSED]
            )
            return _describe_series(scan, candidate, all_series, notes)
    raise refusals[0][1]


def _describe_series(scan: Scan, chosen: Series, all_series: list[Series], refusals: tuple[str, ...]) -> Scan:
    notes = (
        *_people_note(chosen, all_series),
        *_series_note(chosen, all_series),
        *refusals,
        *_uid_note(chosen),
    )
    lines = tuple(series.title for series in all_series)
    return replace(scan, notes=notes + scan.notes, series=lines, series_read=chosen.number)


def _choose_series(all_series: list[Series], choice: int | str, name: str) -> Series:
    """The series with that number, else the series with that description."""
    text = " ".join(str(choice).split()).lower()
    if text.isascii() and text.isdigit() and 1 <= int(text) <= len(all_series):
        return all_series[int(text) - 1]
    called = [series for series in all_series if text and text in _calls(series)] if isinstance(choice, str) else []
    if len(called) == 1:
        return called[0]
    if called:
        raise ReadError(
            f"{name} holds {len(called)} series of that description: {_lines(called)}.", **_choose(called[0].number)
        )
    raise ReadError(
        f"{name} does not hold that series, but {_lines(all_series)}.", **_choose(ranked(all_series)[0].number)
    )


def _calls(series: Series) -> tuple[str, ...]:
    """What a user may type for a series: the description of the header, or the one that is shown."""
    return tuple(" ".join(text.split()).lower() for text in (series.description, *series.name.split('"')[1:2]))


def _choose(number: int) -> dict:
    return {
        "code": "series",
        "to_do": {
            "python": f"Choose one by its number: read(path, series={number}).",
            "command line": f"Choose one by its number: --series {number}.",
            "page": "Choose one in the list of series.",
            "endpoint": f'Choose one by its number: "{number}" as the series.',
        },
    }


def _single_slices(all_series: list[Series], name: str) -> ReadError:
    return ReadError(
        f"{name} holds {len(all_series)} series of one slice each, and nothing says that they belong together. Export "
        "the head as one series.",
        code="several scans",
    )


def _series_note(chosen: Series, all_series: list[Series]) -> tuple[str, ...]:
    others = [series for series in all_series if series is not chosen]
    if not others:
        return ()
    return (f"Read: {chosen.line}. Not read: {_lines(others)}. Another one can be chosen by its number.",)


def _uid_note(chosen: Series) -> tuple[str, ...]:
    parallel = [item for item in chosen.slices if tilt_deg(item, chosen.first) is None]
    uids = len({item.series_uid for item in parallel})
    if uids == 1:
        return ()
    number = "a series UID each" if uids == len(parallel) else f"{uids} series UIDs"
    return (f"{len(parallel)} files have {number}. They were read as one series because everything else agrees.",)


def _people_note(chosen: Series, all_series: list[Series]) -> tuple[str, ...]:
    """Warn first if one upload holds two patients."""
    people = list(dict.fromkeys(series.first.protocol.patient for series in all_series))
    if len(people) == 1:
        return _studies_note(chosen, all_series)
    patient = chosen.first.protocol.patient
    numbers = listed(str(series.number) for series in all_series if series.first.protocol.patient == patient)
    return (
        f"These are scans of {len(people)} patients. Only one of them was read: series {numbers} "
        f"{'belong' if ' ' in numbers else 'belongs'} to this patient.",
    )


def _studies_note(chosen: Series, all_series: list[Series]) -> tuple[str, ...]:
    """Tell if one upload holds two examinations of a patient, whose series may be called the same."""
    studies = {series.first.protocol.study for series in all_series} - {""}
    if len(studies) < 2:
        return ()
    study = chosen.first.protocol.study
    numbers = listed(str(series.number) for series in all_series if series.first.protocol.study == study)
    return (
        f"These are {len(studies)} examinations of one patient. Only one of them was read: series {numbers} "
        f"{'belong' if ' ' in numbers else 'belongs'} to it.",
    )


def _lines(series: Sequence[Series]) -> str:
    """The list for a sentence; each name includes the number of slices."""
    n_unnamed = len(series) - _MOST_NAMED
    named = [item.line for item in series[:_MOST_NAMED]] + ([f"{count(n_unnamed, 'other')}"] if n_unnamed > 0 else [])
    return "; ".join(named)
