"""Requests of one kind are answered together, on the engine's thread."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from flamingo_jax.data.errors import MediaError
from flamingo_jax.evaluation.confidence.rule import ABSTENTION, AbstentionRule
from flamingo_jax.inference.decoding import BEAM, Decoding
from flamingo_jax.inference.prompts import PromptError
from flamingo_jax.inference.session import Answer, Session
from flamingo_jax.inference.stops import shown
from flamingo_jax.inference.streaming import LENGTH, STOP
from flamingo_jax.serving.engine.abstention import evidence_for
from flamingo_jax.serving.engine.events import BAD_REQUEST, ERROR, Delta, Done, Failed
from flamingo_jax.serving.engine.ticket import Ticket

_logger = logging.getLogger(__name__)


class _Whole(NamedTuple):
    """A complete answer that nobody has seen yet."""

    ticket: Ticket
    text: str
    finish: str
    tokens: int
    log_likelihood: float


class Answering:
    """Answers batches of requests with a session and, where they ask for it, a rule of abstention."""

    def __init__(self, session: Session, rule: AbstentionRule | None):
        self._session, self._rule = session, rule

    def __call__(self, tickets: Sequence[Ticket]) -> None:
        """Gives every ticket its last event, whatever happens.

        A prompt that the model cannot be asked fails alone: its company is asked again, each by itself.
        """
        tickets = [ticket for ticket in tickets if not ticket.ended]  # some were cancelled as the batch was made
        if not tickets:
            return
        try:
            self._answer(tickets)
        except (PromptError, MediaError) as error:
            if len(tickets) == 1:
                tickets[0].put(Failed(" ".join(str(error).split()), BAD_REQUEST))
            else:
                for ticket in tickets:
                    self([ticket])
        except Exception as error:
            _logger.exception("a batch of %d requests failed", len(tickets))
            for ticket in tickets:
                ticket.put(Failed(f"the model failed: {type(error).__name__}", ERROR))

    def _answer(self, tickets: Sequence[Ticket]) -> None:
        answered = self._searched(tickets) if tickets[0].request.beams > 1 else self._streamed(tickets)
        for each in answered:
            if not each.ticket.request.abstain:
                _give(each)
        self._judge([each for each in answered if each.ticket.request.abstain])

    def _streamed(self, tickets: Sequence[Ticket]) -> list[_Whole]:
        """Gives pieces as they come; returns the answers that are to be judged first."""
        stream = self._session.stream(
            [ticket.request.prompt for ticket in tickets], [ticket.request.sampling for ticket in tickets]
        )
        going = dict(enumerate(tickets))
        held: dict[int, list[str]] = {place: [] for place, each in going.items() if each.request.whole}
        answered = []
        for pieces in stream:
            for place, text, tokens, log_likelihood, finish in pieces:
                ticket = tickets[place]
                if finish:
                    del going[place]
                if place in held:
                    held[place].append(text)
                    if finish:
                        answered.append(_Whole(ticket, "".join(held[place]), finish, tokens, log_likelihood))
                    continue
                if text:
                    ticket.put(Delta(text))
                if finish:
                    ticket.put(Done(finish, ticket.prompt_tokens, tokens, log_likelihood))
            for place in [place for place, ticket in going.items() if ticket.ended]:
                del going[place]
                stream.drop(place)
        return answered

    def _searched(self, tickets: Sequence[Ticket]) -> list[_Whole]:
        """The answers of a beam search."""
        request = tickets[0].request
        decoding = Decoding(BEAM, max_new_tokens=request.sampling.max_new_tokens, beams=request.beams)
        found = self._session.answers([ticket.request.prompt for ticket in tickets], decoding)
        answered = []
        for ticket, answer in zip(tickets, found, strict=True):
            text, stopped = shown(answer.text, ticket.request.sampling.stops, ended=True)
            # The search says no more than how many tokens there are, so an <EOC> in the last place counts as a cut.
            finish = STOP if stopped or answer.tokens < decoding.max_new_tokens else LENGTH
            answered.append(_Whole(ticket, text, finish, answer.tokens, answer.log_likelihood))
        return answered

    def _judge(self, answered: Sequence[_Whole]) -> None:
        """Gives answers that the rule trusts, and "I don't know." in place of others."""
        for each in answered:
            ticket = each.ticket
            if ticket.ended:
                continue
            answer = Answer(each.text, each.tokens, each.log_likelihood)
            evidence = evidence_for(self._session, self._rule, ticket.request, answer)
            abstains = self._rule.abstains(evidence)
            confidence = self._rule.confidence(evidence)
            if abstains:
                each = each._replace(text=ABSTENTION)
            _give(each, abstained=abstains, evidence=evidence, confidence=confidence)


def _give(answer: _Whole, **judged) -> None:
    ticket, text, finish, tokens, log_likelihood = answer
    if text:
        ticket.put(Delta(text))
    ticket.put(Done(finish, ticket.prompt_tokens, tokens, log_likelihood, **judged))
