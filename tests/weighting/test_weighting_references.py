"""Every strategy against the equations of its paper, in NumPy, with all tasks present."""

import numpy as np
import pytest
from scipy.optimize import minimize, nnls
from scipy.special import ndtri, softmax
from weighting_batches import make_batch, run

from sk_mtl import weighting
from sk_mtl.weighting._settings import draw_uniform_of

SEEDS = range(4)


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def gram_of(batch):
    return batch.gram.astype(np.float64)


def draws_of(strategy, n_tasks):
    state = strategy.initial_state(n_tasks)
    return np.array(draw_uniform_of(state, state["weight"]), np.float64)


# ------------------------------------------------------------------------------- losses only


def test_dwa_weighs_by_the_ratio_of_the_last_two_epochs():
    strategy, state = weighting.DWAWeighting(temperature=2.0), None
    epochs = [[make_batch(3, seed=2 * e + b, epoch=e) for b in (0, 1)] for e in (1, 2, 3)]
    means = []
    for batches in epochs:
        cells = sum(batch.labelled for batch in batches)
        means.append(sum(batch.labelled * batch.means for batch in batches) / cells)
        for batch in batches:
            weights, state = run(strategy, batch, state)
        close(weights, 3 * softmax(means[1] / means[0] / 2) if len(means) == 3 else np.ones(3))


def test_an_epoch_without_labels_of_a_task_is_none_for_its_rate():
    strategy, state = weighting.DWAWeighting(), None
    means = []
    for epoch in (1, 2, 3, 4):
        batch = make_batch(2, [True, epoch != 2], seed=epoch, epoch=epoch)
        weights, state = run(strategy, batch, state)
        means.append(batch.means)
    rates = [means[2][0] / means[1][0], means[2][1] / means[0][1]]
    close(weights, 2 * softmax(np.array(rates) / 2))


def test_random_weights_are_a_softmax_of_normal_numbers():
    strategy = weighting.RandomWeighting(3)
    close(run(strategy, make_batch(6))[0], softmax(ndtri(draws_of(strategy, 6))))


def test_gradient_of_the_geometric_mean():
    batch = make_batch(4)
    means = batch.means.astype(np.float64)
    close(run(weighting.GeometricMeanWeighting(), batch)[0], np.prod(means) ** 0.25 / (4 * means))


def test_gradient_of_the_logarithms():
    batch = make_batch(4)
    close(run(weighting.LogWeighting(), batch)[0], 1 / batch.means.astype(np.float64))


def test_moving_averages_of_the_losses_are_over_labelled_cells():
    strategy, state = weighting.LogWeighting(momentum=0.75), None
    total = cells = 0.0
    for seed in range(3):
        batch = make_batch(4, seed=seed)
        total = 0.75 * total + 0.25 * batch.labelled * batch.means
        cells = 0.75 * cells + 0.25 * batch.labelled
        weights, state = run(strategy, batch, state)
        close(weights, cells / total)


@pytest.mark.parametrize(
    "kind",
    [
        weighting.LogWeighting,
        weighting.GeometricMeanWeighting,
        weighting.SmoothTchebycheffWeighting,
        weighting.FAMOWeighting,
    ],
)
def test_first_moving_average_is_the_loss_of_the_batch(kind):
    batch = make_batch(4, seed=1)
    close(run(kind(momentum=0.9), batch)[0], run(kind(), batch)[0])


@pytest.mark.parametrize(
    ("strategy", "total"),
    [(weighting.LogWeighting(), None), (weighting.GeometricMeanWeighting(), 1)],
)
def test_under_cells_a_logarithm_counts_by_the_share_of_its_task(strategy, total):
    batch = make_batch(3)
    shares = batch.labelled / batch.labelled.sum()
    weights, _ = run(strategy, batch._replace(losses=shares * batch.means))
    log_weights = weights * batch.means
    close(log_weights / log_weights.sum(), shares)


def test_smooth_tchebycheff_after_its_warm_up():
    strategy = weighting.SmoothTchebycheffWeighting(mu=0.5, warmup_epochs=2)
    first, second, third = (make_batch(3, seed=e, epoch=e) for e in (1, 2, 3))
    weights, state = run(strategy, first)
    close(weights, 1 / first.means)
    weights, state = run(strategy, second, state)
    close(weights, 1 / second.means)
    weights, _ = run(strategy, third, state)
    close(weights, 3 * softmax(np.log(third.means / second.means) / 0.5) / third.means)


def test_famo_makes_steps_of_adam():
    strategy, state = weighting.FAMOWeighting(learning_rate=0.1, gamma=0.01), None
    logits, momentum, velocity = np.zeros((3, 3))
    for step in (1, 2, 3):
        batch = make_batch(3, seed=step)
        weights, state = run(strategy, batch, state)
        means, z = batch.means.astype(np.float64), softmax(logits)
        close(weights, z / means / np.sum(z / means))
        fall = -np.log(np.linspace(0.8, 1.1, 3))
        gradient = (np.diag(z) - np.outer(z, z)) @ fall + 0.01 * logits
        momentum = 0.9 * momentum + 0.1 * gradient
        velocity = 0.999 * velocity + 0.001 * gradient**2
        mean, scale = momentum / (1 - 0.9**step), np.sqrt(velocity / (1 - 0.999**step))
        logits = logits - 0.1 * mean / (scale + 1e-8)
        close(state["logit"], logits)


# --------------------------------------------------------------------------------- gradients


def test_gradnorm_moves_its_logits_by_the_gradient_of_its_loss():
    strategy, state = weighting.GradNormWeighting(alpha=1.5, learning_rate=0.1), None
    logits, momentum, velocity = np.zeros((3, 3))
    first = make_batch(3, seed=1).means
    for step in (1, 2, 3):
        batch = make_batch(3, seed=step)
        weights, state = run(strategy, batch, state)
        norms, w = np.sqrt(np.diag(gram_of(batch))), 3 * softmax(logits)
        close(weights, w)
        rates = batch.means / first
        wanted = np.mean(w * norms) * (rates / rates.mean()) ** 1.5
        by_weight = norms * np.sign(w * norms - wanted)
        gradient = (np.diag(w) - np.outer(w, w) / 3) @ by_weight
        momentum = 0.9 * momentum + 0.1 * gradient
        velocity = 0.999 * velocity + 0.001 * gradient**2
        mean, scale = momentum / (1 - 0.9**step), np.sqrt(velocity / (1 - 0.999**step))
        logits = logits - 0.1 * mean / (scale + 1e-8)
        close(state["logit"], logits)


def gradients_of(batch):
    """Return gradients with the Gram matrix of a batch, in rows."""
    values, vectors = np.linalg.eigh(gram_of(batch))
    return vectors * np.sqrt(np.maximum(values, 0))


def step_of(weights, batch):
    return weights @ gradients_of(batch)


@pytest.mark.parametrize("n_tasks", [3, 40])
def test_pcgrad_projects_gradients_one_after_the_other(n_tasks):
    strategy = weighting.PCGradWeighting(random_state=2)
    batch = make_batch(n_tasks, rank=2 * n_tasks)
    gradients = gradients_of(batch)
    changed = gradients.copy()
    for i in range(n_tasks):
        for j in np.argsort(draws_of(strategy, n_tasks)):
            product = changed[i] @ gradients[j]
            if i != j and product < 0:
                changed[i] -= product / (gradients[j] @ gradients[j]) * gradients[j]
    close(step_of(run(strategy, batch)[0], batch), changed.sum(axis=0))


def test_gradvac_turns_gradients_towards_the_usual_cosine():
    strategy, state, usual = weighting.GradVacWeighting(beta=0.4), None, np.zeros((4, 4))
    order = np.argsort(draws_of(strategy, 4))
    for step in range(2):
        batch = make_batch(4, seed=step)
        state = state if state is None else state | {"step": np.float32(0)}
        weights, state = run(strategy, batch, state)
        gradients = gradients_of(batch)
        changed = gradients.copy()
        for i in range(4):
            for j in order:
                if i == j:
                    continue
                lengths = np.linalg.norm(changed[i]), np.linalg.norm(gradients[j])
                cosine, wanted = changed[i] @ gradients[j] / np.prod(lengths), usual[i, j]
                if cosine < wanted:
                    sines = np.sqrt(1 - cosine**2), np.sqrt(1 - wanted**2)
                    factor = lengths[0] * (wanted * sines[0] - cosine * sines[1])
                    changed[i] += factor / (lengths[1] * sines[1]) * gradients[j]
                usual[i, j] = 0.6 * wanted + 0.4 * cosine
        close(step_of(weights, batch), changed.sum(axis=0))
        close(state["usual"], usual)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("normalization", ["none", "l2", "loss", "loss+"])
def test_mgda_gives_the_shortest_mean(normalization, seed):
    batch = make_batch(6, seed=seed, rank=20)
    weights, _ = run(weighting.MGDAWeighting(normalization), batch)
    gram = gram_of(batch)
    norms, losses = np.sqrt(np.diag(gram)), batch.means.astype(np.float64)
    divisor = {"none": 1 + 0 * norms, "l2": norms, "loss": losses, "loss+": losses * norms}
    gram /= np.outer(divisor[normalization], divisor[normalization])
    # The shortest mean by non-negative least squares (Wolfe): of (G, 1) z = (0, 1), z / sum(z).
    root = np.linalg.cholesky(gram / gram.max()).T
    z, _ = nnls(np.vstack([root, np.ones(6)]), np.append(np.zeros(6), 1))
    close(weights, z / z.sum())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("rescale", "divisor"), [(0, 1), (1, 1.16), (2, 1.4)])
def test_cagrad_solves_its_dual_problem(rescale, divisor, seed):
    batch = make_batch(5, seed=seed, rank=12)
    weights, _ = run(weighting.CAGradWeighting(c=0.4, rescale=rescale), batch)
    gram = gram_of(batch)
    gram /= gram.max()
    mean = np.full(5, 0.2)
    factor = 0.4 * np.sqrt(mean @ gram @ mean)
    options = {"ftol": 1e-15, "maxiter": 500}
    found = minimize(
        lambda w: w @ gram @ mean + factor * np.sqrt(w @ gram @ w),
        mean,
        jac=lambda w: gram @ mean + factor * gram @ w / np.sqrt(w @ gram @ w),
        bounds=[(0, 1)] * 5,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        method="SLSQP",
        options=options,
    ).x
    expected = mean + factor / np.sqrt(found @ gram @ found) * found
    # The weights of the reference are accurate to 1e-5 or so.
    np.testing.assert_allclose(weights * divisor, expected, atol=5e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_imtl_g_has_equal_projections_onto_all_gradients(seed):
    batch = make_batch(5, seed=seed)
    weights, _ = run(weighting.IMTLGWeighting(), batch)
    gram = gram_of(batch)
    solved = np.linalg.solve(gram, np.sqrt(np.diag(gram)))
    close(weights, solved / solved.sum())


@pytest.mark.parametrize("seed", SEEDS)
def test_nash_mtl_solves_the_bargaining_problem(seed):
    batch = make_batch(6, seed=seed)
    weights, _ = run(weighting.NashMTLWeighting(), batch)
    gram = gram_of(batch)
    close(gram / np.linalg.norm(gram) @ weights.astype(np.float64) * weights, np.ones(6))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 8.0])
def test_fairgrad_solves_its_equation(alpha, seed):
    batch = make_batch(6, seed=seed)
    weights, _ = run(weighting.FairGradWeighting(alpha), batch)
    weights = weights.astype(np.float64)
    close(gram_of(batch) @ weights * weights ** (1 / alpha), np.ones(6))


@pytest.mark.parametrize("seed", SEEDS)
def test_aligned_mtl_makes_gradients_orthogonal_and_as_long_as_the_shortest_axis(seed):
    batch = make_batch(5, seed=seed)
    weights, _ = run(weighting.AlignedMTLWeighting(), batch)
    left, values, right = np.linalg.svd(gradients_of(batch))
    close(step_of(weights, batch), values[-1] * (left @ right).sum(axis=0))


@pytest.mark.parametrize(("n_tasks", "tolerance"), [(6, 1e-5), (12, 1e-5), (40, 1e-3)])
def test_upgrad_takes_the_mean_of_projections_onto_the_dual_cone(n_tasks, tolerance):
    batch = make_batch(n_tasks, rank=3 * n_tasks)
    weights, _ = run(weighting.UPGradWeighting(), batch)
    gram = gram_of(batch)
    gram = gram / np.trace(gram) + 1e-4 * np.eye(n_tasks)
    root = np.linalg.cholesky(gram).T
    # v = u + z with z >= 0 that minimizes the norm of the sum of gradients.
    expected = [u + nnls(root, -root @ u)[0] for u in np.eye(n_tasks)]
    np.testing.assert_allclose(weights, np.mean(expected, axis=0), atol=tolerance)


def test_graddrop_keeps_tasks_of_one_sign_in_each_unit():
    strategy = weighting.GradDropWeighting(leak=0.25)
    rng = np.random.default_rng(0)
    by_task = rng.normal(size=(3, 5, 200))  # tasks, rows, units
    outputs = rng.normal(size=(5, 200))
    state = strategy.initial_state(3)
    sums = (by_task * np.sign(outputs)).sum(axis=1)
    weights, _ = strategy.weigh_units(np.float32(sums), make_batch(3), state)
    probability = 0.5 * (1 + sums.sum(axis=0) / np.abs(sums).sum(axis=0))
    draw = np.array(draw_uniform_of(state, np.zeros(200, np.float32)))
    kept = np.where(probability > draw, sums > 0, sums < 0)
    assert 0.3 < kept.mean() < 0.9
    close(weights, 0.25 + 0.75 * kept)
