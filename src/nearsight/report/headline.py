"""What was learned: one claim and a few findings, all worded by comparing numbers."""

from nearsight.report.cards import cards
from nearsight.report.markup import NBSP, mha, number, percent, plain, seconds, text
from nearsight.report.reading import Study
from nearsight.report.summary import SAME, Group, Summary, fraction


def headline_section(study: Study, summary: Summary) -> str:
    """The first section: one claim, cards with the key numbers, and the findings behind them."""
    findings = [_accuracy(summary), _baseline(study, summary), _energy(study, summary)]
    findings += [_choice(summary), _cost(study, summary), _models(summary)]
    items = "".join(f"<li>{item}</li>" for item in findings if item)
    return (
        f'<section id="learned" aria-labelledby="learned-title"><p class="eyebrow">What was learned</p>'
        f'<h2 id="learned-title" class="claim">{claim(summary)}</h2>'
        f'<div class="cards">{cards(study, summary)}</div><ul class="findings">{items}</ul></section>'
    )


def claim(summary: Summary) -> str:
    """One sentence that weighs the best small set against the full data by their NRMSE."""
    full, best = summary.full, summary.best
    if full is not None and best is not None:
        return (
            f"{fraction(best.kept)} of the grid points {verdict(_ratio(best.nrmse.mean, full.nrmse.mean))}."
        )
    only = full or best
    assert only is not None  # a study has at least one run
    points = "all points" if only.is_full else f"{fraction(only.kept)} of the points"
    return (
        f"A model trained on {points} predicts the test densities to an NRMSE of {percent(only.nrmse.mean)}."
    )


def verdict(ratio: float) -> str:
    """Words for the error of a small set as a multiple of the error with all points."""
    times = f"the test error is {number(ratio)} times as large"
    if ratio <= 1.0:
        return "taught the model as much as all of them: the test error is no larger"
    if ratio <= SAME:
        return f"taught the model nearly as much as all of them: {times}"
    if ratio <= 1.25:
        return f"came close to all of them: {times}"
    if ratio <= 2.0:
        return f"cost some accuracy: {times}"
    return f"were not enough: {times}"


def _accuracy(summary: Summary) -> str:
    full, best = summary.full, summary.best
    if not (full and best):
        return ""
    seeds = ""
    if full.nrmse.n > 1 and best.nrmse.n > 1:
        within = best.nrmse.overlaps(full.nrmse)
        seeds = f" The ranges over seeds {'overlap' if within else 'do not overlap'}."
    return (
        f"<b>Density.</b> On snapshots kept out of training, the NRMSE is {percent(full.nrmse.mean)} "
        f"with all points and {percent(best.nrmse.mean)} with {text(best.points)}.{seeds}"
    )


def _baseline(study: Study, summary: Summary) -> str:
    model = summary.full or summary.best
    if study.baseline is None or model is None:
        return ""
    source = "the model trained on all points" if model.is_full else "that model"
    nothing, learned = study.baseline.mean.nrmse_percent, model.nrmse.mean
    if learned < nothing:
        words = f"{number(_ratio(nothing, learned))} times the error of {source}"
    else:
        words = f"no more than the error of {source}, which has learned nothing useful"
    return f"<b>Without learning.</b> Superposed atoms have an NRMSE of {percent(nothing)}: {words}."


def _energy(study: Study, summary: Summary) -> str:
    shown = [(g, g.energy.mean) for g in (summary.full, summary.best) if g and g.energy]
    if not shown:
        return ""
    parts = " and ".join(f"{mha(value)}{NBSP}mHa/atom with {text(group.points)}" for group, value in shown)
    words = _against_limit([value for _, value in shown], study.chemical_accuracy_ha)
    baseline = study.baseline.mean.energy_error_ha_per_atom if study.baseline else None
    beside = f" Superposed atoms: {mha(baseline)}{NBSP}mHa/atom." if baseline is not None else ""
    return f"<b>Energy.</b> The mean |ΔE| of the predicted densities is {parts}: {words}.{beside}"


def _against_limit(errors: list[float], limit: float) -> str:
    accuracy = f"chemical accuracy ({plain(1000 * limit)}{NBSP}mHa/atom)"
    if max(errors) <= limit:
        margin = f" by a factor of {number(limit / max(errors), 2)}" if 0 < max(errors) <= limit / 2 else ""
        return f"within {accuracy}{margin}"
    if min(errors) <= limit:
        return f"within {accuracy} for one of them only"
    return f"above {accuracy}"


def _choice(summary: Summary) -> str:
    best = summary.best
    if best is None or len(summary.at(best.kept)) < 2:
        return ""
    name = text(best.look.in_sentence)
    lead = f"<b>Which points.</b> Of the methods tried at {fraction(best.kept)}, {name}"
    if summary.judged_by_validation:
        return f"{lead} {_judged_by_validation(summary, best)}"
    after = " (Best is judged afterwards, on these test snapshots.)"
    random = _random(summary, best)
    if random is None:
        return f"{lead} had the lowest error.{after}"
    if random is best:
        return f"{lead} points had the lowest error, so no scoring beat chance here.{after}"
    return f"{lead} had the lowest error; {_against_random(random, best)}.{after}"


def _judged_by_validation(summary: Summary, best: Group) -> str:
    """The rest of the sentence, and what the test snapshots say of that choice."""
    words = "had the lowest error on validation data, by which it was chosen"
    random, first = _random(summary, best), summary.best_on_test
    if random is best:
        words = "points had the lowest error on validation data, so no scoring beat chance there"
    elif random is not None:
        words += f"; on the test snapshots {_against_random(random, best)}"
    if first is None or first is best:
        return f"{words}. It has the lowest test error too."
    ratio = number(_ratio(best.nrmse.mean, first.nrmse.mean))
    return (
        f"{words}. On the test snapshots, which decide nothing, {text(first.look.in_sentence)} turned out "
        f"lowest (its error is {ratio} times smaller)."
    )


def _random(summary: Summary, best: Group) -> Group | None:
    return next((g for g in summary.at(best.kept) if g.label == "random"), None)


def _against_random(random: Group, best: Group) -> str:
    words = f"random points had {number(_ratio(random.nrmse.mean, best.nrmse.mean))} times as much"
    if best.nrmse.n > 1 and random.nrmse.n > 1 and best.nrmse.overlaps(random.nrmse):
        words += ", a difference within the spread over seeds"
    return words


def _models(summary: Summary) -> str:
    """What the other models make of the same points, by the best of each on validation data."""
    parts = []
    for other in summary.others:
        best = other.best
        if best is None or best.kept != summary.headline_fraction:
            continue
        how = "" if other.judged_by_validation else ", the best of them on these test snapshots"
        time = seconds(_mean_training(best))
        parts.append(
            f"{text(other.name)}: {percent(best.nrmse.mean)} with {text(best.points)}{how}, trained in {time}"
        )
    if not parts or summary.best is None:
        return ""
    time = seconds(_mean_training(summary.best))
    return (
        f"<b>Other models.</b> Beside the {text(summary.name)} ({percent(summary.best.nrmse.mean)}, trained "
        f"in {time}): {'; '.join(parts)}."
    )


def _mean_training(group: Group) -> float:
    return sum(run.seconds.training for run in group.runs) / len(group.runs)


def _cost(study: Study, summary: Summary) -> str:
    full, best = summary.full, summary.best
    if not (full and best):
        return ""
    label = study.dataset.label_seconds
    dft = f" Making the data with DFT took {seconds(label)}." if label else ""
    short, long = best.total_seconds.mean, full.total_seconds.mean
    words = compare_times(short, long)
    spreads = best.total_seconds, full.total_seconds
    if min(s.n for s in spreads) > 1 and spreads[0].overlaps(spreads[1]):
        words = f"on average {words}, but the ranges over seeds overlap"
    return (
        f"<b>Cost.</b> {text(best.points)} took {seconds(short)}, scoring and selection included, "
        f"against {seconds(long)} with all points: {words}.{dft}"
    )


def compare_times(time: float, reference: float) -> str:
    """Words for a time against another."""
    low, high = sorted((time, reference))
    if high <= SAME * low or high == 0:
        return "about the same"
    if high >= 2 * low:
        return f"{number(_ratio(high, low), 2)} times {'faster' if time < reference else 'slower'}"
    share = 100 * (high - low) / reference
    return f"{share:.0f}{NBSP}% {'less' if time < reference else 'more'}"


def _ratio(value: float, reference: float) -> float:
    return value / reference if reference else float("inf")
