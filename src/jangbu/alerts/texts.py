"""What an alert says: one plain sentence, in English or Korean, on what is wrong and what to do."""

from collections.abc import Mapping
from typing import Literal, get_args

from jangbu.domain.alerts import Alert, Condition, Fact, Phase

__all__ = ["LANGUAGES", "Language", "text_of", "title_of"]

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_NANO, _CENT = 10**9, 10**7
_Key = tuple[Condition, Phase]

_ENGLISH: Mapping[_Key, str] = {
    (Condition.RECORDING_FAILED, Phase.BEGAN): "Usage could not be recorded ({cause}), so an answer is not charged yet:"
    " check the database with `jangbu doctor`.",
    (Condition.RECORDING_FAILED, Phase.LASTS): "Recording still fails, {failures:time} in {seconds} s ({cause}): check"
    " the database with `jangbu doctor`.",
    (Condition.RECORDING_FAILED, Phase.ENDED): "Recording works again after it failed {failures:time} within"
    " {seconds} s: run `jangbu verify`, and look in the logs for records that nobody tried again.",
    (Condition.RECORDING_DELAYED, Phase.BEGAN): "The database has not taken usage for {seconds} s and recording is"
    " being retried: check the database with `jangbu doctor`.",
    (Condition.RECORDING_DELAYED, Phase.LASTS): "The database has still not taken usage after {seconds} s: check it"
    " with `jangbu doctor`; recording is retried meanwhile.",
    (Condition.RECORDING_DELAYED, Phase.ENDED): "The database takes usage again after {seconds} s: there is nothing to"
    " do.",
    (Condition.RECORDING_SPOOLED, Phase.BEGAN): "The database does not take usage, which is kept in the local spool:"
    " check the database with `jangbu doctor`.",
    (
        Condition.RECORDING_SPOOLED,
        Phase.LASTS,
    ): "Usage has waited in the local spool for {seconds} s because the database does"
    " not take it: see to it with `jangbu doctor` before the spool is full (`jangbu spool status`).",
    (
        Condition.RECORDING_SPOOLED,
        Phase.ENDED,
    ): "The database has all records again after {seconds} s, and the local spool is drained: there is nothing to do.",
    (Condition.UNKNOWN_OUTCOME, Phase.BEGAN): "Nobody knows the outcome of {findings:call}, and the tokens stay held:"
    " settle this with `jangbu holds list --state unknown` and `jangbu holds resolve`.",
    (Condition.OVERRUN, Phase.BEGAN): "More tokens than were held went to {findings:call}: compare the answer with its"
    " limits (`jangbu explain {call}`).",
    (Condition.LATE, Phase.BEGAN): "The hold was given back before its call was settled ({findings:call}), which may"
    " leave a debt: look at it with `jangbu explain {call}`.",
    (Condition.UNPRICED, Phase.BEGAN): "No price is known for {findings:call} ({models}): add it with `jangbu prices"
    " import` or `jangbu prices set`, then run `jangbu prices backfill`.",
    (Condition.HOLD_LEAK, Phase.BEGAN): "Nothing ends {holds:hold} ({tokens:token}) whose time is up: see that a"
    " `jangbu serve` runs, and look for sweeper.failed in its log.",
    (Condition.BUDGET_NEAR, Phase.BEGAN): "The calls of {month} cost {cost_nano:usd}, {per_cent}% of the month's"
    " budget of {budget_nano:usd} ({unpriced:call} without a price): see what costs most with"
    " `jangbu cost --all --days {days}`.",
    (Condition.BUDGET_SPENT, Phase.BEGAN): "The calls of {month} cost {cost_nano:usd}, {per_cent}% of the month's"
    " budget of {budget_nano:usd} ({unpriced:call} without a price), and none is refused for it: see what costs most"
    " with `jangbu cost --all --days {days}`.",
    (Condition.VERIFY_MISMATCH, Phase.BEGAN): "The book does not add up in {mismatches:place} ({invariants}): stop"
    " writing, run `jangbu verify`, and restore a backup or correct it by adjustments.",
    (Condition.TEST, Phase.BEGAN): "This is a test of Jangbu's alerts: there is nothing to do.",
}

_KOREAN: Mapping[_Key, str] = {
    (Condition.RECORDING_FAILED, Phase.BEGAN): "사용량을 기록하지 못해({cause}) 아직 차감되지 않은 응답이 있습니다."
    " `jangbu doctor`로 데이터베이스를 확인하세요.",
    (Condition.RECORDING_FAILED, Phase.LASTS): "기록 실패가 계속됩니다: {seconds}초 동안 {failures}건({cause})."
    " `jangbu doctor`로 데이터베이스를 확인하세요.",
    (Condition.RECORDING_FAILED, Phase.ENDED): "다시 기록됩니다. {seconds}초 동안 {failures}건이 실패했으니"
    " `jangbu verify`를 실행하고, 다시 시도되지 않은 기록이 있는지 로그를 확인하세요.",
    (
        Condition.RECORDING_DELAYED,
        Phase.BEGAN,
    ): "데이터베이스가 {seconds}초 동안 사용량을 받지 않아 기록을 다시 시도하고"
    " 있습니다. `jangbu doctor`로 데이터베이스를 확인하세요.",
    (
        Condition.RECORDING_DELAYED,
        Phase.LASTS,
    ): "{seconds}초가 지나도 데이터베이스가 사용량을 받지 않습니다. `jangbu doctor`로"
    " 확인하세요. 다시 시도하는 동안 잃는 기록은 없습니다.",
    (
        Condition.RECORDING_DELAYED,
        Phase.ENDED,
    ): "데이터베이스가 {seconds}초 만에 다시 사용량을 받습니다. 할 일은 없습니다.",
    (Condition.RECORDING_SPOOLED, Phase.BEGAN): "데이터베이스가 사용량을 받지 않아 로컬 스풀에 보관합니다."
    " `jangbu doctor`로 데이터베이스를 확인하세요.",
    (
        Condition.RECORDING_SPOOLED,
        Phase.LASTS,
    ): "데이터베이스가 받지 않아 사용량이 {seconds}초째 로컬 스풀에서"
    " 기다립니다. 스풀이 차기 전에 `jangbu doctor`로 조치하세요(`jangbu spool status`).",
    (
        Condition.RECORDING_SPOOLED,
        Phase.ENDED,
    ): "{seconds}초 만에 모든 기록이 다시 데이터베이스에 있고 로컬 스풀은 비었습니다. 할 일은 없습니다.",
    (Condition.UNKNOWN_OUTCOME, Phase.BEGAN): "호출 {findings}건의 결과를 알 수 없어 토큰이 예약된 채로 남아 있습니다."
    " `jangbu holds list --state unknown`과 `jangbu holds resolve`로 정리하세요.",
    (Condition.OVERRUN, Phase.BEGAN): "호출 {findings}건이 예약한 토큰보다 많이 사용했습니다. 응답과 한도를"
    " 비교하세요(`jangbu explain {call}`).",
    (Condition.LATE, Phase.BEGAN): "호출 {findings}건이 예약이 풀린 뒤에 정산되어 미수가 생길 수 있습니다."
    " `jangbu explain {call}`로 확인하세요.",
    (Condition.UNPRICED, Phase.BEGAN): "호출 {findings}건의 가격을 알 수 없습니다({models}). `jangbu prices import`나"
    " `jangbu prices set`으로 가격을 넣고 `jangbu prices backfill`을 실행하세요.",
    (Condition.HOLD_LEAK, Phase.BEGAN): "예약 {holds}건({tokens}토큰)이 시한이 지나도 끝나지 않습니다. `jangbu serve`가"
    " 실행 중인지, 로그에 sweeper.failed가 있는지 확인하세요.",
    (Condition.BUDGET_NEAR, Phase.BEGAN): "{month} 호출 비용이 {cost_nano:usd}로 이달 예산 {budget_nano:usd}의"
    " {per_cent}%입니다(가격 없는 호출 {unpriced}건). `jangbu cost --all --days {days}`으로 가장 큰 비용을 확인하세요.",
    (Condition.BUDGET_SPENT, Phase.BEGAN): "{month} 호출 비용이 {cost_nano:usd}로 이달 예산 {budget_nano:usd}의"
    " {per_cent}%입니다(가격 없는 호출 {unpriced}건). 예산 때문에 거절되는 호출은 없으니"
    " `jangbu cost --all --days {days}`으로 가장 큰 비용을 확인하세요.",
    (Condition.VERIFY_MISMATCH, Phase.BEGAN): "장부가 {mismatches}곳에서 맞지 않습니다({invariants}). 쓰기를 멈추고"
    " `jangbu verify`를 실행한 뒤 백업을 복원하거나 조정으로 바로잡으세요.",
    (Condition.TEST, Phase.BEGAN): "장부 알림 시험입니다. 할 일은 없습니다.",
}

_TEXTS: Mapping[Language, Mapping[_Key, str]] = {"en": _ENGLISH, "ko": _KOREAN}


def text_of(alert: Alert, language: Language) -> str:
    """Give the sentence of an alert. A fact that is missing is shown as ``?``: an alert is never lost for its text."""
    texts = _TEXTS[language]
    template = texts.get((alert.condition, alert.phase)) or texts[alert.condition, Phase.BEGAN]
    return template.format_map(_Shown({name: _shown(value) for name, value in alert.facts.items()}))


def title_of(alert: Alert) -> str:
    """Give a short title, the same in all languages, so that mail can be filtered by it."""
    return f"[jangbu {alert.project}] {alert.condition.value} {alert.phase.value}"


class _Shown(dict[str, "_Counted | _Unknown | str"]):
    """Facts as they are shown."""

    def __missing__(self, key: str) -> "_Unknown":
        return _Unknown("?")


class _Counted(int):
    """A number: ``{calls}`` gives ``1,234``, ``{calls:call}`` gives ``1,234 calls``, and ``{nano:usd}`` dollars and
    cents, rounded down.
    """

    def __format__(self, noun: str) -> str:
        if noun == "usd":
            return f"${self // _NANO:,}.{self % _NANO // _CENT:02}"
        number = int.__format__(self, ",")
        return number if not noun else f"{number} {noun}" if self == 1 else f"{number} {noun}s"


class _Unknown(str):
    """A fact that nobody gave."""

    __slots__ = ()

    def __format__(self, _noun: str) -> str:
        return str(self)


def _shown(value: Fact) -> _Counted | str:
    return _Counted(value) if isinstance(value, int) else value
