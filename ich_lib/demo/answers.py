"""The answers of the page to the events of its controls."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from ich_lib.demo import many, session, viewer
from ich_lib.demo.gradio_import import gr
from ich_lib.demo.job import run_in_thread
from ich_lib.demo.messages import busy_text, message, refusal
from ich_lib.demo.page import STARTED_MODEL, Page
from ich_lib.demo.samples import FIRST_SAMPLE, SAMPLES
from ich_lib.prediction.engine import Models


@dataclass(frozen=True)
class ModelPair:
    """How the page asks one pair of models: them, or for what they said of a sample."""

    models: Models | None
    sample: Callable[[str], dict]

    @property
    def has_mask(self) -> bool:
        """Whether they outline blood, as the shipped model does."""
        return self.models is None or self.models.segmenter is not None


class Answers:
    """The answers of the page; each method is the function of one event.

    Gradio sends what was yielded last a second time, so the last is always small.
    """

    def __init__(self, page: Page, first: ModelPair, load_pair: Callable[[str], ModelPair]):
        """`load_pair` loads a model by its name in the boxes "Model" and "Compare with"."""
        self.page, self.first, self.load_pair = page, first, load_pair
        self.no_change = {page.status: gr.skip()}

    def ended(self, status: str = "") -> dict:
        """The word on what is going on, and no button to stop it."""
        return {self.page.status: status, self.page.stop: hide_button()}

    def viewers(self, second_model: str) -> list[gr.HTML]:
        """The visible viewers."""
        return [self.page.viewer, self.page.second] if second_model else [self.page.viewer]

    def pair(self, model: str) -> ModelPair:
        """The models of a name in the box "Model" or "Compare with"."""
        return self.first if model in ("", STARTED_MODEL) else self.load_pair(model)

    def pairs(self, second_model: str, turns: session.RequestCounter) -> list[ModelPair]:
        """The models to run, one pair for each viewer."""
        return [self.pair(turns.model), *([self.pair(second_model)] if second_model else [])]

    def open(self, name: str, turns: session.RequestCounter) -> dict:
        """The page as it opens: the sample that its address asks for, else the first."""
        name = name if name in SAMPLES else FIRST_SAMPLE
        return self.sample(name, "", turns) | {self.page.sample: name}

    def sample(self, name: str, second_model: str, turns: session.RequestCounter) -> dict:
        """A sample, read already or now."""
        page, turn = self.page, turns.next()
        payloads = [pair.sample(name) for pair in self.pairs(second_model, turns)]
        if turns.last != turn:
            return self.no_change
        turns.word = ""
        last = session.CurrentScan(sample=name)  # the choice itself is left alone: it may have gone on meanwhile
        updates = dict(zip(self.viewers(second_model), payloads, strict=True))
        emptied = {page.files: None, page.truth: None, page.last: last, page.series: _series_box(last)}
        return updates | self.ended() | emptied | hide_files(page)

    def take(self, paths: list[str], turns: session.RequestCounter) -> tuple:
        """Files that came in: their box is free again at once, and what was there before is not its truth."""
        return (paths, turns.next()), None, None, *busy_update(True)

    def upload(
        self,
        request: tuple[Sequence[str], int] | None,
        truth: str | None,
        second_model: str,
        turns: session.RequestCounter,
        *window_settings: *session.WindowSettings,
        series: int | None = None,
        part: str | None = None,
        believe: bool = False,
    ) -> Iterator[dict]:
        """A scan; a later request ends it: another scan, a sample, a stop."""
        if not request:  # a session so old that what it asked for is forgotten
            yield self.ended(message("gone", "wrong"))
            return
        paths, turn = request
        page, viewers = self.page, self.viewers(second_model)
        pairs = [pair.models for pair in self.pairs(second_model, turns)]
        is_wanted = lambda: turns.last == turn  # noqa: E731
        steps = session.read_and_analyze(
            paths, window_settings, pairs, truth, is_wanted, series, part=part, believe=believe
        )
        try:
            for step in steps:
                if isinstance(step, session.Picture):
                    updates = dict.fromkeys(viewers, step.payload) | {page.series: _series_box(step.scan)}
                    yield updates | hide_files(page) | {page.sample: None, page.last: step.scan}
                elif isinstance(step, session.Overlay):
                    if len(viewers) - 1 in step.viewers:  # the last finding: a stop that comes now is too late
                        turns.end(turn)
                    yield {viewers[number]: step.payload for number in step.viewers}
                else:
                    yield {page.status: busy_text(step)}
        except ValueError as problem:
            turns.end(turn, refusal(problem))
            yield self.ended(refusal(problem))
            return
        turns.end(turn)
        yield self.no_change if turns.word is None else self.ended(turns.word)

    def open_upload(
        self,
        request: tuple[Sequence[str], int] | None,
        truth: str | None,
        second_model: str,
        turns: session.RequestCounter,
        *window_settings: *session.WindowSettings,
    ) -> Iterator[dict]:
        """What was uploaded: one scan, or the table of several studies."""
        try:
            studies = many.list_upload(request[0]) if request else ()
        except ValueError as problem:
            yield self.ended(refusal(problem))
            return
        if request and len(studies) > 1:
            yield from self._table(studies, turns, request[1], window_settings)
        else:
            yield {self.page.studies: None, self.page.listed_studies: ()}
            yield from self.upload(request, truth, second_model, turns, *window_settings)

    def _table(
        self,
        studies: tuple[many.Study, ...],
        turns: session.RequestCounter,
        turn: int,
        window_settings: session.WindowSettings,
    ) -> Iterator[dict]:
        """A row for each study as it is scored."""
        page, rows = self.page, list[dict]()
        yield {page.studies: many.table_payload(studies, rows), page.listed_studies: studies}
        models = self.pair(turns.model).models
        for row in many.score_studies(studies, models, window_settings, lambda: turns.last == turn):
            rows.append(row)
            word = message("studies_busy", "busy", k=len(rows), n=len(studies))
            yield {page.studies: many.table_payload(studies, rows), page.status: word}
        turns.end(turn)
        yield self.no_change if turns.word is None else self.ended(turns.word)

    def open_study(
        self,
        number: int | None,
        studies: Sequence[many.Study],
        second_model: str,
        turns: session.RequestCounter,
        *window_settings: *session.WindowSettings,
    ) -> Iterator[dict]:
        """One of several studies, in the viewer."""
        if not isinstance(number, int | float) or not 0 <= number < len(studies or ()):
            yield self.no_change
            return
        study = studies[int(number)]
        yield {self.page.truth: None}
        request = study.paths, turns.next()
        yield from self.upload(request, None, second_model, turns, *window_settings, part=study.part)

    def read_again(
        self,
        last: session.CurrentScan | None,
        truth: str | None,
        second_model: str,
        turns: session.RequestCounter,
        *window_settings: *session.WindowSettings,
        believe: bool = False,
    ) -> Iterator[dict]:
        """The same series of the same files in another window, or with the finding that was held back."""
        if last and last.paths:
            request, series, part = (last.paths, turns.next()), last.series_read or None, last.part
            yield from self.upload(
                request, truth, second_model, turns, *window_settings, series=series, part=part, believe=believe
            )
        else:
            yield self.no_change  # a generator without a word would empty all outputs

    def choose(
        self,
        series: int | None,
        last: session.CurrentScan | None,
        second_model: str,
        turns: session.RequestCounter,
        *window_settings: *session.WindowSettings,
    ) -> Iterator[dict]:
        """Another series of the same files; a mask of the one before is not its truth."""
        if last and last.paths and series:
            yield {self.page.truth: None}
            request = last.paths, turns.next()
            yield from self.upload(request, None, second_model, turns, *window_settings, series=series, part=last.part)
        else:
            yield self.no_change

    def add_truth(self, truth: str, last: session.CurrentScan | None, second_model: str) -> dict:
        """A mask for the scan that is shown."""
        try:
            overlay = session.truth_overlay(truth, last)
        except ValueError as problem:
            return {self.page.status: refusal(problem), self.page.truth: None}
        return dict.fromkeys(self.viewers(second_model), overlay) | {self.page.status: ""}

    def drop_truth(self, last: session.CurrentScan | None, second_model: str) -> dict:
        """The mask was taken away."""
        if not last or not last.paths:
            return self.no_change
        return dict.fromkeys(self.viewers(second_model), viewer.overlay(last.id, {"truth": None, "bleeding": None}))

    def inputs(self, last: session.CurrentScan | None, model: str, *window_settings: *session.WindowSettings) -> tuple:
        """The input of the model of a viewer for the current scan, and a message if it cannot be made."""
        if not last:
            return gr.skip(), gr.skip()
        pair = self.pair(model)
        picture_id = pair.sample(last.sample)["id"] if last.sample else last.id
        try:
            scan = session.current_scan(last, window_settings)
        except ValueError as problem:
            return viewer.overlay(picture_id, {"inputs": []}), refusal(problem)
        return session.inputs_overlay(scan, pair.models, picture_id), gr.skip()

    def solid(
        self,
        last: session.CurrentScan | None,
        model: str,
        turns: session.RequestCounter,
        threshold: float | None,
        is_first: bool,
        truth: str | None,
        *window_settings: *session.WindowSettings,
    ) -> Iterator[tuple]:
        """What the 3D view of a viewer shows, and a message if it cannot be made; a later request ends it.

        The library that draws it comes along when the page asks for the first time (`is_first`).
        """
        no_change = gr.skip(), gr.skip()
        if not last:
            yield no_change
            return
        pair = self.pair(model)
        turn, sample = turns.last, pair.sample(last.sample) if last.sample else None
        library = {"library": viewer.library_text()} if is_first else {}
        work = partial(_solid, last, pair.models, sample, threshold, truth, window_settings)
        try:
            for step in run_in_thread(work):
                if turns.last != turn:
                    yield no_change
                    return
                if not isinstance(step, float):
                    yield step | library, gr.skip()
        except ValueError as problem:
            yield viewer.overlay(sample["id"] if sample else last.id, {"solid": {}}), refusal(problem)
        yield no_change

    def compare(
        self,
        last: session.CurrentScan | None,
        truth: str | None,
        second_model: str,
        turns: session.RequestCounter,
        *window_settings: *session.WindowSettings,
    ) -> Iterator[dict]:
        """The second viewer comes, gets another model, or goes."""
        page = self.page
        pair = self.pair(second_model) if second_model else None
        comparison = {page.second_column: gr.Column(visible=bool(pair))} | self._difference(second_model, turns)
        if pair and last and last.sample:
            yield {page.status: busy_text(0)}
            # in one answer: a viewer that is just being made misses what comes right after it
            yield comparison | {page.second: pair.sample(last.sample)} | self.ended()
            yield self.no_change
        else:
            yield comparison
            if pair:
                yield from self.read_again(last, truth, second_model, turns, *window_settings)

    def choose_model(
        self,
        model: str,
        last: session.CurrentScan | None,
        truth: str | None,
        second_model: str,
        turns: session.RequestCounter,
        *window_settings: *session.WindowSettings,
    ) -> Iterator[dict]:
        """The first viewer gets another model."""
        turns.model = model
        yield {self.page.status: busy_text(0)} | self._difference(second_model, turns)
        if last and last.sample:
            yield self.sample(last.sample, second_model, turns)
            yield self.no_change
        elif last:
            yield from self.read_again(last, truth, second_model, turns, *window_settings)
        else:
            yield self.ended()

    def _difference(self, second_model: str, turns: session.RequestCounter) -> dict:
        """Whether the difference of both masks is shown: a model that scores slices only has none."""
        pairs = self.pairs(second_model, turns)
        is_shown = len(pairs) > 1 and all(pair.has_mask for pair in pairs)
        return {self.page.difference_column: gr.Column(visible=is_shown)}

    def stop(self, turns: session.RequestCounter) -> tuple[str, gr.Button]:
        """Nothing is waited for any more. What was answered meanwhile stays, and so does the word on it."""
        if turns.word is None:
            turns.next()
            turns.word = message("stopped", "stopped")
        return turns.word, hide_button()


def _solid(
    last: session.CurrentScan,
    models: Models | None,
    sample: dict | None,
    threshold: float | None,
    truth: str | None,
    window_settings: session.WindowSettings,
    report_progress: Callable[[float], None],
) -> dict:
    return session.solid_overlay(last, models, sample, threshold, truth, window_settings, progress=report_progress)


def hide_button() -> gr.Button:
    return gr.Button(visible=False)


def _series_box(scan: session.CurrentScan) -> gr.Dropdown:
    """What to choose from where the files hold several series."""
    choices = [(f"{number}: {line}", number) for number, line in enumerate(scan.series, start=1)]
    return gr.Dropdown(choices, value=scan.series_read or None, visible=len(choices) > 1)


def hide_files(page: Page) -> dict:
    """No downloads: those of an earlier result are none of this one."""
    return {page.written: gr.File(value=None, visible=False), page.zipped: gr.DownloadButton(value=None, visible=False)}


def busy_update(condition: object, stoppable: bool = True) -> tuple:
    """A word for the time until the result is there, if there is something to read; and the button that stops it."""
    if not condition:
        return gr.skip(), gr.skip()
    return busy_text(0), gr.Button(visible=stoppable)
