"""Known answers: each network here is small enough for its classification image to be derived."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from observers import STD, close, observer, standard_error, yes_no
from scipy import integrate, stats

import networks
import reverse_correlation
from noise import WhiteNoise
from reverse_correlation import Measurement, measure, receptive_field, sidak_threshold

RNG = np.random.default_rng(0)
SHAPE = (4, 5, 1)
TEMPLATE = RNG.normal(size=SHAPE)
UNIT = TEMPLATE / np.linalg.norm(TEMPLATE)


def show(network, count=100_000, kind="gaussian", **kwargs):
    shape = tuple(network.inputs[0].shape[1:])
    return measure(network, WhiteNoise(kind, shape), count, progress=False, **kwargs)


# ----------------------------------------------------------------- classes (SCIENCE's numbers)


def test_1_a_linear_logit_gives_variance_times_weights():
    logits = show(observer(np.stack([TEMPLATE, -2 * TEMPLATE], -1), 0.3)).classes["logit"]
    assert close(logits, STD**2 * np.stack([TEMPLATE, -2 * TEMPLATE]))
    assert logits.mean_response == pytest.approx(
        [TEMPLATE.sum() / 2 + 0.3, 0.3 - TEMPLATE.sum()], abs=5 * logits.response_std.max() / 316
    )


def test_2_uniform_noise_weighs_gradients_by_x_times_one_minus_x():
    weights = np.zeros((2, 2, 1, 2))
    weights[0, 0, 0, 1] = 1
    logits = show(observer(weights, -0.5, "relu"), kind="uniform").classes["logit"]
    expected = np.zeros((2, 2, 2, 1))
    expected[1, 0, 0, 0] = 1 / 24  # cov(max(x - 1/2, 0), x) by integration
    assert close(logits, expected)


def test_3_binary_noise_gives_a_quarter_of_the_mean_difference():
    weights = RNG.normal(size=(2, 2, 1, 3))
    network = observer(weights, activation="tanh")
    stimuli = np.array(list(itertools.product([0.0, 1.0], repeat=4))).reshape(16, 2, 2, 1)
    responses = np.tanh(np.tensordot(stimuli, weights, 3))  # all sixteen, (16, 3)
    flat = stimuli.reshape(16, 4)
    expected = np.array(
        [
            [(r[flat[:, i] == 1].mean() - r[flat[:, i] == 0].mean()) / 4 for i in range(4)]
            for r in responses.T
        ]
    ).reshape(3, 2, 2, 1)
    assert close(show(network, kind="binary").classes["logit"], expected, std=0.5)


def test_4_and_6_a_threshold_unit_gives_its_template():
    bias = -TEMPLATE.sum() / 2 + 0.4 * STD * np.linalg.norm(TEMPLATE)  # drive of mean .4 sigma
    decisions = show(yes_no(TEMPLATE, bias)).classes["decision"]
    yes, density = stats.norm.cdf(0.4), stats.norm.pdf(0.4)
    expected = STD * density * UNIT  # sigma^2 times the gradient of P(yes) in the mean
    assert close(decisions, np.stack([-expected, expected]))
    error = 5 * standard_error(decisions)[1] / yes
    assert np.all(np.abs(decisions.average[1] - STD * density / yes * UNIT) < error)
    difference = decisions.average[1] - decisions.average[0]
    assert np.all(
        np.abs(difference - STD * density / yes / (1 - yes) * UNIT) < error / (1 - yes) * 1.01
    )


def test_5_a_relu_unit_gives_its_weights():
    weights = np.stack([TEMPLATE, -TEMPLATE], -1)
    norm = STD * np.linalg.norm(TEMPLATE)
    logits = show(observer(weights, [0.2, -0.1], "relu")).classes["logit"]
    drive = np.array([TEMPLATE.sum() / 2 + 0.2, -TEMPLATE.sum() / 2 - 0.1])
    a = drive / norm
    expected = STD**2 * np.moveaxis(weights, -1, 0) * stats.norm.cdf(a)[:, None, None, None]
    assert close(logits, expected)
    mean = drive * stats.norm.cdf(a) + norm * stats.norm.pdf(a)
    assert np.all(np.abs(logits.mean_response - mean) < 5 * logits.response_std / np.sqrt(100_000))


def test_7_a_sigmoid_unit_gives_its_weights():
    probability = show(yes_no(3 * TEMPLATE, 0.5)).classes["probability"]
    mean, std = 1.5 * TEMPLATE.sum() + 0.5, 3 * STD * np.linalg.norm(TEMPLATE)

    def slope(m):
        s = 1 / (1 + np.exp(-m))
        return s * (1 - s) * stats.norm.pdf(m, mean, std)

    expected = STD**2 * 3 * TEMPLATE * integrate.quad(slope, -60, 60)[0]
    assert close(probability, np.stack([-expected, expected]))


def test_8_softmax_regression_stays_in_the_row_space():
    weights = RNG.normal(size=(*SHAPE, 3))
    probability = show(observer(weights)).classes["probability"]
    rows = weights.reshape(20, 3)
    images = probability.covariance.reshape(3, 20)
    residual = images - images @ rows @ np.linalg.pinv(rows)
    assert np.all(np.abs(residual) < 5 * standard_error(probability).reshape(3, 1))
    assert np.abs(images.sum(axis=0)).max() < 1e-6 < np.abs(images).max() / 100


def test_9_decision_images_sum_to_zero_and_counts_to_all():
    measurement = show(observer(RNG.normal(size=(*SHAPE, 5))), 12_345)
    assert np.abs(measurement.classes["decision"].covariance.sum(axis=0)).max() < 1e-7
    assert measurement.answered.sum() == measurement.count == 12_345


def test_9_class_means_are_the_means_of_the_stimuli():
    network, noise = observer(RNG.normal(size=(*SHAPE, 3))), WhiteNoise(shape=SHAPE)
    stimuli = np.concatenate([noise.draw(5, b, n) for b, n in ((0, 1000), (1, 1000), (2, 345))])
    stimuli = stimuli.astype(np.float64)
    answers = network.predict(stimuli, verbose=0).argmax(axis=1)
    measurement = measure(network, noise, 2345, seed=5, progress=False)
    for k in range(3):
        mean = stimuli[answers == k].mean(axis=0) - stimuli.mean(axis=0)
        assert np.allclose(measurement.classes["decision"].average[k], mean, atol=1e-6)
    assert np.array_equal(measurement.answered, np.bincount(answers, minlength=3))


def test_10_pixels_outside_the_receptive_field_stay_within_the_null():
    template = TEMPLATE.copy()
    template[:, :2] = 0
    z = show(yes_no(template)).classes["decision"].z[1]
    assert np.abs(z[:, :2]).max() < sidak_threshold(8, 0.001) < np.abs(z[:, 2:]).max()


def test_11_uniform_noise_bends_the_image_of_a_sparse_rectified_unit_and_gaussian_does_not():
    weights = np.zeros((1, 3, 1, 2))
    weights[0, :, 0, 1] = 3, 1, 0.5
    network = observer(weights, -4.0, "relu")  # fires on the 1 % of brightest stimuli
    grid = (np.arange(100) + 0.5) / 100
    cube = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"))  # all of [0, 1]^3
    on = np.tensordot(weights[0, :, 0, 1], cube, 1) > 4
    expected = weights[0, :, 0, 1] * (cube * (1 - cube) / 2 * on).mean(axis=(1, 2, 3))
    uniform = show(network, kind="uniform").classes["logit"]
    error = standard_error(uniform)[1].item()
    assert np.all(np.abs(uniform.covariance[1].ravel() - expected) < 5 * error)

    def cosine(image):
        image, truth = image.ravel(), weights[0, :, 0, 1]
        return image @ truth / np.linalg.norm(image) / np.linalg.norm(truth)

    assert cosine(uniform.covariance[1]) < 0.98
    assert cosine(show(network).classes["logit"].covariance[1]) > 0.999


def test_12_coloured_noise_gives_its_covariance_times_the_weights():
    mixing = np.eye(20) + 0.3 * RNG.normal(size=(20, 20))

    class Coloured(WhiteNoise):
        def draw(self, seed, block, count):
            white = tf.reshape(super().draw(seed, block, count) - self.mean, (-1, 20))
            mixed = tf.matmul(white, tf.constant(mixing.T, tf.float32))
            return self.mean + tf.reshape(mixed, (-1, *self.shape))

    covariance = STD**2 * mixing @ mixing.T
    network = observer(np.stack([TEMPLATE, -TEMPLATE], -1))
    estimate = measure(network, Coloured(shape=SHAPE), 100_000, progress=False).classes["logit"]
    expected = (covariance @ TEMPLATE.ravel()).reshape(SHAPE)
    pixel_std = np.sqrt(np.diag(covariance)).reshape(SHAPE)
    assert close(estimate, np.stack([expected, -expected]), errors=7, std=pixel_std)
    recovered = np.linalg.solve(covariance, estimate.covariance[0].ravel())
    error = np.sqrt(np.diag(np.linalg.inv(covariance)) / 100_000) * estimate.response_std[0]
    assert np.all(np.abs(recovered - TEMPLATE.ravel()) < 5 * error)


def test_13_null_z_is_standard_normal_and_the_family_wise_error_is_five_percent():
    weights = np.zeros((16, 16, 1, 256), np.float32)  # class k is pixel k: all others are null
    weights.reshape(256, 256)[np.diag_indices(256)] = 1
    errors, spread = 0, []
    for seed in range(4):
        estimate = show(observer(weights), 20_000, seed=seed).classes["logit"]
        z = np.where(weights.reshape(256, 256) > 0, 0, estimate.z.reshape(256, 256))
        spread.append(z[z != 0])
        errors += np.sum(np.abs(z).max(axis=1) > sidak_threshold(255))
    z = np.concatenate(spread)
    assert abs(z.std() - 1) < 0.01 and abs(z.mean()) < 0.01
    assert abs(errors / 1024 - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 1024)


def test_14_the_threshold_is_sidaks():
    assert sidak_threshold(784) == pytest.approx(3.99, abs=0.005)
    assert sidak_threshold(1) == pytest.approx(1.96, abs=0.001)


def test_16_subtracting_the_grand_mean_pays_for_a_class_that_is_nearly_always_answered():
    template = RNG.normal(size=(28, 28, 1))
    unit = template / np.linalg.norm(template)
    bias = -template.sum() / 2 + stats.norm.ppf(0.95) * STD * np.linalg.norm(template)
    measurement = show(yes_no(template, bias), 5000)
    stimuli = measurement.sums["classes"]["x"].sum(axis=0) / 5000  # minus the ensemble's mean
    image = measurement.classes["decision"].average[1]

    def snr(estimate):
        signal = (estimate * unit).sum()
        return signal / (estimate - signal * unit).std()

    assert snr(image) == pytest.approx(33.5, abs=5)
    assert snr(image + stimuli) == pytest.approx(7.5, abs=4)  # the raw mean of the yes trials


def test_15_the_images_needed_are_those_that_reach_the_correlation():
    template = RNG.normal(size=(16, 16, 1))
    network = yes_no(template, -template.sum() / 2)
    needed = show(network, 20_000).classes["decision"].images_needed(20_000, 0.9)[1]
    known = 0.81 / 0.19 * 255 / (stats.norm.pdf(0) ** 2 / 0.25)  # 1 / h, no internal noise
    assert needed == pytest.approx(known, rel=0.15)
    found = [show(network, int(needed), seed=s).classes["decision"] for s in range(1, 6)]
    reached = [np.corrcoef(f.covariance[1].ravel(), template.ravel())[0, 1] for f in found]
    assert np.mean(reached) == pytest.approx(0.9, abs=0.02)


def test_a_class_that_is_never_answered_has_no_image():
    decision = show(yes_no(TEMPLATE, -1000), 5000).classes["decision"]
    assert np.isnan(decision.average[1]).all() and np.isnan(decision.z).all()
    assert decision.mean_response.tolist() == [1, 0]
    assert not decision.significant.any()
    assert np.isnan(show(yes_no(TEMPLATE), 5000).classes["logit"].average).all()  # signed


# ----------------------------------------------------------------- filters


def convolution(kernel, size=12, strides=1, padding="valid", bias=0.0):
    """A network of one ReLU convolution; kernel (kh, kw, c, filters)."""
    kernel = np.asarray(kernel, np.float32)
    images = keras.Input((size, size, kernel.shape[2]))
    conv = layers.Conv2D(
        kernel.shape[3], kernel.shape[:2], strides, padding, activation="relu", name="conv"
    )
    x = layers.GlobalAveragePooling2D()(conv(images))
    network = keras.Model(images, layers.Softmax()(layers.Dense(2)(x)))
    conv.set_weights([kernel, np.full(kernel.shape[3], bias, np.float32)])
    return network


@pytest.mark.parametrize("strides, padding", [(1, "valid"), (1, "same"), (2, "same"), (3, "valid")])
def test_5_a_filter_is_recovered_over_all_positions(strides, padding):
    kernel = RNG.normal(size=(4, 3, 2, 3))
    kernel -= kernel.mean(axis=(0, 1, 2))  # so that every filter fires about half of the time
    network = convolution(kernel, 11, strides, padding, bias=0.3)
    measurement = show(network, 60_000, layers=["conv"])
    estimate, images = measurement.layers["conv"], measurement.maps["conv"].count
    drive = kernel.sum(axis=(0, 1, 2)) / 2 + 0.3
    a = drive / STD / np.linalg.norm(kernel.reshape(-1, 3), axis=0)
    expected = np.moveaxis(STD**2 * kernel * stats.norm.cdf(a), -1, 0)
    assert estimate.covariance.shape == (3, 4, 3, 2)
    error = STD * estimate.response_std / np.sqrt(images)  # at most: as if positions were one
    assert np.all(np.abs(estimate.covariance - expected) < 4 * error[:, None, None, None])
    flat, known = estimate.covariance.reshape(3, -1), expected.reshape(3, -1)
    cosine = (flat * known).sum(1) / np.linalg.norm(flat, axis=1) / np.linalg.norm(known, axis=1)
    assert cosine.min() > 0.999
    average = expected / estimate.mean_response[:, None, None, None]
    assert np.allclose(estimate.average, average, atol=0.01)


def test_10_and_13_filter_z_is_calibrated_though_positions_overlap(monkeypatch):
    monkeypatch.setattr(reverse_correlation, "BLOCK_IMAGES", 100)
    kernel = np.zeros((7, 7, 1, 32))
    kernel[2:5, 2:5] = RNG.normal(size=(3, 3, 1, 32))  # the other 40 weights are null
    network = convolution(kernel, 14)
    spread = []
    for seed in range(3):
        z = show(network, 20_000, layers=["conv"], seed=seed).layers["conv"].z[..., 0]
        z[:, 2:5, 2:5] = np.nan
        spread.append(z[np.isfinite(z)])
    assert abs(np.concatenate(spread).std() - 1) < 0.05


def test_a_silent_filter_has_no_average():
    kernel = RNG.normal(size=(3, 3, 1, 2)) * [1, 0]
    estimate = show(convolution(kernel, bias=-0.01), 5000, layers=["conv"]).layers["conv"]
    assert np.isfinite(estimate.average[0]).all() and np.isnan(estimate.average[1]).all()


def chain(*stack, size=(23, 19)):
    """A network of the given layers, with all weights positive."""
    images = keras.Input((*size, 1))
    x = images
    for layer in stack:
        x = layer(x)
    x = layers.GlobalAveragePooling2D()(x)
    network = keras.Model(images, layers.Softmax()(layers.Dense(2)(x)))
    for layer in stack:
        layer.set_weights([np.abs(w) + 0.01 for w in layer.get_weights()])
    return network


@pytest.mark.parametrize(
    "stack",
    [
        lambda: [layers.Conv2D(2, 5, padding="same"), layers.AveragePooling2D(2)],
        lambda: [layers.Conv2D(2, 3, strides=2, padding="same"), layers.Conv2D(1, (4, 2))],
        lambda: [layers.AveragePooling2D(3, 2, "same"), layers.Conv2D(1, 3, dilation_rate=2)],
        lambda: [layers.Conv2D(2, 4, padding="same"), layers.ReLU(), layers.DepthwiseConv2D(3, 2)],
    ],
)
def test_the_receptive_field_is_where_the_gradient_is(stack):
    stack = stack()
    network = chain(*stack)
    field = receptive_field(network, stack[-1].name)
    tap = keras.Model(network.inputs, network.get_layer(stack[-1].name).output)
    stimulus = tf.ones((1, 23, 19, 1))
    rows, columns = field.windows((23, 19), tap.output_shape[1:3])
    for i, j in [(0, 0), (rows[0], columns[0]), (rows[1] - 1, columns[1] - 1)]:
        with tf.GradientTape() as tape:
            tape.watch(stimulus)
            unit = tap(stimulus)[0, i, j, 0]
        seen = np.argwhere(tape.gradient(unit, stimulus).numpy()[0, ..., 0] > 0)
        for axis, index in enumerate((i, j)):
            first = field.offset[axis] + index * field.stride[axis]
            last = min(first + field.size[axis] - 1, (22, 18)[axis])
            assert (seen[:, axis].min(), seen[:, axis].max()) == (max(first, 0), last)
    outside = field.offset[0] + (rows[0] - 1) * field.stride[0]
    assert rows[0] == 0 or outside < 0  # the unit before the first interior one sees padding


def test_a_layer_without_a_receptive_field_is_refused_by_name():
    images = keras.Input((8, 8, 1))
    x = layers.Conv2D(2, 3, name="after")(layers.UpSampling2D(name="larger")(images))
    network = keras.Model(images, layers.Dense(2, "softmax")(layers.Flatten()(x)))
    with pytest.raises(ValueError, match="'after' cannot be derived.*'larger'"):
        receptive_field(network, "after")
    with pytest.raises(ValueError, match="no layer 'conv9'; it has"):
        show(network, 10, layers=["conv9"])


# ----------------------------------------------------------------- the pass


def test_every_image_counts_once_whatever_the_block_size(monkeypatch):
    network = observer(RNG.normal(size=(*SHAPE, 3)))
    for block, count in [(1000, 1), (7, 50), (50, 50), (49, 50)]:
        monkeypatch.setattr(reverse_correlation, "BLOCK_IMAGES", block)
        measurement = show(network, count)
        assert measurement.count == count == measurement.answered.sum()


def test_a_pass_repeats_to_the_bit():
    network = convolution(RNG.normal(size=(3, 3, 1, 2)))
    first, second = (show(network, 12_000, layers=["conv"]) for _ in range(2))
    assert np.array_equal(first.classes["logit"].covariance, second.classes["logit"].covariance)
    assert np.array_equal(first.layers["conv"].covariance, second.layers["conv"].covariance)


def test_deep_filters_match_a_brute_force_covariance_of_raw_patches():
    keras.utils.set_random_seed(0)
    images = keras.Input((15, 14, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(images)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(3, 3, strides=2, padding="same", activation="relu", name="deep")(x)
    network = keras.Model(images, layers.Softmax()(layers.Dense(2)(layers.Flatten()(x))))
    noise = WhiteNoise(shape=(15, 14, 2))
    stimuli = noise.draw(0, 0, 1000).numpy().astype(np.float64)  # block 0, the one that counts
    activity = keras.Model(network.inputs, x).predict(stimuli, verbose=0).astype(np.float64)
    field = receptive_field(network, "deep")
    assert (field.size, field.stride, field.offset) == ((8, 8), (4, 4), (-3, -3))
    patches, responses = [], []
    for i in range(activity.shape[1]):
        for j in range(activity.shape[2]):
            top, left = 4 * i - 3, 4 * j - 3
            if min(top, left) >= 0 and top + 8 <= 15 and left + 8 <= 14:
                patches.append(stimuli[:, top : top + 8, left : left + 8])
                responses.append(activity[:, i, j])
    assert len(patches) == 4
    patches, responses = np.concatenate(patches), np.concatenate(responses)
    centred = (responses - responses.mean(axis=0)).T @ (patches - patches.mean(axis=0)).reshape(
        len(patches), -1
    )
    expected = (centred / len(patches)).reshape(3, 8, 8, 2)
    found = measure(network, noise, 1000, layers=["deep"], progress=False).layers["deep"]
    assert np.allclose(found.covariance, expected, atol=1e-4 * np.abs(expected).max())
    assert np.allclose(found.mean_response, responses.mean(axis=0), rtol=1e-5)
    assert found.count == 4000


def test_filters_do_not_depend_on_the_images_of_a_block(monkeypatch):
    network = convolution(RNG.normal(size=(3, 3, 1, 2)))
    found = []
    for block in (1000, 500):
        monkeypatch.setattr(reverse_correlation, "BLOCK_IMAGES", block)
        found.append(show(network, 120_000, layers=["conv"]).layers["conv"].covariance)
    assert np.corrcoef(found[0].ravel(), found[1].ravel())[0, 1] > 0.999


def test_bfloat16_measures_nearly_the_same_network(monkeypatch):
    monkeypatch.setattr(networks, "seconds_a_block", lambda network: 1.0)
    network = convolution(RNG.normal(size=(3, 3, 1, 2)))
    exact, rough = (
        show(network, 8000, layers=["conv"], precision=p) for p in ("float32", "bfloat16")
    )
    for a, b in [(exact.classes["logit"], rough.classes["logit"]),
                 (exact.layers["conv"], rough.layers["conv"])]:  # fmt: skip
        assert not np.array_equal(a.covariance, b.covariance)
        assert np.corrcoef(a.covariance.ravel(), b.covariance.ravel())[0, 1] > 0.99
    with pytest.raises(ValueError, match="float32 or bfloat16"):
        show(network, 10, precision="float16")


def test_bfloat16_is_refused_where_it_would_be_slower(monkeypatch):
    network = convolution(RNG.normal(size=(3, 3, 1, 2)))
    slow = {"float32": 1.0, "mixed_bfloat16": 2.5}
    monkeypatch.setattr(
        networks,
        "seconds_a_block",
        lambda network: slow[network.get_layer("conv").dtype_policy.name],
    )
    with pytest.raises(ValueError, match="bfloat16 takes 2.5 times as long"):
        show(network, 10, precision="bfloat16")


def test_a_measurement_survives_saving(tmp_path):
    first = show(convolution(RNG.normal(size=(3, 3, 1, 2))), 12_000, layers=["conv"], seed=3)
    first.save(tmp_path / "m.npz")
    second = Measurement.load(tmp_path / "m.npz")
    assert second.provenance == first.provenance and second.provenance["seed"] == 3
    for kind in ("decision", "probability", "logit"):
        assert np.array_equal(first.classes[kind].z, second.classes[kind].z, equal_nan=True)
    assert np.array_equal(first.layers["conv"].average, second.layers["conv"].average)
    assert np.array_equal(first.maps["conv"].covariance, second.maps["conv"].covariance)


def test_reliability_is_high_for_signal_and_nil_for_noise():
    linear = show(observer(np.stack([TEMPLATE, -TEMPLATE], -1)), 20_000).classes["logit"]
    assert linear.reliability.min() > 0.95
    weights = np.zeros((16, 16, 1, 2))
    weights[0, 0] = 1e-6
    null = show(observer(weights, [0.0, 0.0]), 20_000).classes["logit"]
    z = null.z[:, 1:]
    assert np.abs(z).max() < 5  # all but the top row is noise
    assert np.isnan(show(observer(weights), 100).classes["logit"].reliability).all()  # one shard


def test_a_network_that_answers_nan_or_always_the_same_is_refused():
    with pytest.raises(ValueError, match="answers NaN"):
        show(yes_no(TEMPLATE * np.nan), 100)
    with pytest.raises(ValueError, match="alike"):
        show(observer(np.zeros((*SHAPE, 3)), [0.1, 0.2, 0.3]), 100)


def test_bad_counts_and_shapes_are_refused():
    with pytest.raises(ValueError, match="at least 1, not 0"):
        show(yes_no(TEMPLATE), 0)
    with pytest.raises(ValueError, match=r"takes images of \(4, 5, 1\)"):
        measure(yes_no(TEMPLATE), WhiteNoise(), 10)
