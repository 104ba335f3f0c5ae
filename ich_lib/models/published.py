"""The models of five published student systems and the classical ones of their sister projects, as published.

If the published code was wrong, the recipe is built correctly, and `source` says what was chosen here."""

import math
from dataclasses import replace

from ich_lib.models.recipe import Recipe
from ich_lib.prepare.augment import NO_AUGMENT

_000 = "System 000 (U-Net + EfficientNetB4 + DenseNet169, 2024)"
_001 = "System 001 (small CNN + 3D U-Net, 2021)"
_002 = "System 002 (two U-Nets on CT-ICH, 2021)"
_003 = "System 003 (U-Net on CT-ICH, 2025)"
_004 = "System 004 (five CNNs on RSNA, 2019)"

# Common settings of the published trainings: whole slices, one slice per picture, 32-bit arithmetic, one constant
# learning rate. Their early stopping used the validation side; here it uses the training loss.
_PUBLISHED = Recipe(
    "published",
    "segment",
    "unet2d",
    field="slice",
    neighbors=0,
    windows=("brain render",),
    sampling="natural",
    steps=0,
    augment=NO_AUGMENT,
    optimizer="adam",
    schedule="constant",
    weight_decay=0.0,
    precision="float32",
)


_EFFICIENTNET_AUGMENT = replace(NO_AUGMENT, turn_deg=30, shift=0.2, shear_deg=0.2, zoom=math.log(1.2), flip_lr=True)


_DENSENET_AUGMENT = replace(NO_AUGMENT, turn_deg=20, shift=0.1, zoom=math.log(1.2), flip_lr=True)


_THREE_WINDOWS = ("brain", "subdural", "bone")


_DENSENET_TRAINING = replace(  # the cosine really restarts here; there it was queried once per epoch and hardly moved
    _PUBLISHED,
    scheme="7-class",
    loss="cce",
    weights="imagenet",
    windows=_THREE_WINDOWS,
    augment=_DENSENET_AUGMENT,
    optimizer="adamw",
    learning_rate=1e-5,
    weight_decay=3e-5,
    schedule="cosine restarts",
    lowest=0.1,
    restart=10,
    batch=32,
    epochs=40,
    patience=5,
)


_DENSENET_HEAD = {"trainable": "first 5", "dense": 1024, "l2": 0.01, "dropout": (0.0, 0.5)}


SYSTEM_000 = (
    replace(
        _PUBLISHED,
        name="unet2d-000",
        task="segment",
        builder="unet_000",
        size=128,
        stored=128,
        loss="weighted_bce",
        batch=32,
        epochs=100,
        patience=10,
        source=f"{_000}; the paper says batch 1; weights of the loss from system 001, epochs chosen here",
    ),
    replace(
        _PUBLISHED,
        name="unet3d-000",
        task="segment",
        builder="unet3d",
        options={"filters": (64, 128, 256, 512), "narrow": False},
        size=120,
        stored=120,
        depth=80,
        loss="weighted_bce",
        batch=1,
        steps=75,
        epochs=100,
        source=f"{_000}; levels below the first, weights of the loss and epochs chosen here",
    ),
    replace(
        _PUBLISHED,
        name="efficientnetb4-000",
        task="classify",
        builder="backbone",
        options={"base": "EfficientNetB4", "trainable": "none", "dense": 256, "dropout": (0.5, 0.5)},
        size=380,
        stored=380,
        weights="imagenet",
        windows=_THREE_WINDOWS,
        scheme="7-class",
        loss="cce",
        augment=_EFFICIENTNET_AUGMENT,
        batch=32,
        epochs=40,
        source=f"{_000}; its shear of 0.2 was in degrees; three windows in place of one render, epochs chosen here",
    ),
    replace(
        _DENSENET_TRAINING,
        name="densenet169-000",
        task="classify",
        builder="backbone",
        options={"base": "DenseNet169", **_DENSENET_HEAD},
        size=224,
        stored=224,
        source=f"{_000}; its freezing was commented out, here it is done; three windows, restarts every 10 epochs "
        "chosen here",
    ),
    replace(
        _DENSENET_TRAINING,
        name="mobilenetv2-000",
        task="classify",
        builder="backbone",
        options={"base": "MobileNetV2", **_DENSENET_HEAD},
        size=224,
        stored=224,
        source=f"{_000}, repository only; trained as densenet169-000",
    ),
    replace(
        _DENSENET_TRAINING,
        name="se-resnext-000",
        task="classify",
        builder="se_resnext",
        options={"dense": 1024, "l2": 0.01, "dropout": 0.5},
        size=224,
        stored=224,
        weights=None,
        source=f"{_000}, repository only; SE-ResNeXt-101 (32x4d), trained as densenet169-000; Keras has no weights for "
        "it, so all of it is trained from random ones",
    ),
)


SYSTEM_001 = (
    replace(
        _PUBLISHED,
        name="unet3d-001",
        task="segment",
        builder="unet3d",
        options={"filters": (16, 32, 64, 128), "narrow": True},
        size=120,
        stored=120,
        depth=80,
        loss="weighted_bce",
        learning_rate=2e-4,
        batch=1,
        steps=75,
        epochs=100,
        source=f"{_001}; trained there on MRI ventricles; 1.2 M or 1.4 M parameters told, 16 filters give 1.46 M; "
        "epochs chosen here",
    ),
    replace(
        _PUBLISHED,
        name="cnn-001",
        task="classify",
        builder="cnn_001",
        size=128,
        stored=128,
        scheme="6-class",
        loss="cce",
        batch=32,
        steps=50,
        epochs=25,
        source=f"{_001}; widths, loss, rate and batch chosen here; slices made small by area, not by every 4th pixel",
    ),
)


_TRAINING_002 = replace(
    _PUBLISHED,
    loss="dice",
    learning_rate=1e-4,
    sampling="balanced",
    augment=replace(NO_AUGMENT, flip_lr=True, flip_ud=True),
    epochs=200,
)


SYSTEM_002 = (
    replace(
        _TRAINING_002,
        name="unet2d-002a",
        task="segment",
        builder="unet_002",
        size=256,
        stored=256,
        batch=16,
        source=_002,
    ),
    replace(
        _TRAINING_002,
        name="unet2d-002b",
        task="segment",
        builder="unet_002",
        options={"dropout": 0.1},
        size=256,
        stored=256,
        batch=32,
        source=_002,
    ),
)


SYSTEM_003 = (
    replace(
        _PUBLISHED,
        name="unet2d-003",
        task="segment",
        builder="unet_003",
        size=256,
        stored=256,
        windows=("brain render",) * 3,  # a gray picture read as RGB
        loss="bce",
        learning_rate=1e-4,
        schedule="plateau",
        halve=5,
        patience=10,
        batch=10,
        epochs=50,
        threshold=0.7,
        source=_003,
    ),
)


_TRAINING_004 = replace(
    _PUBLISHED,
    size=512,
    stored=512,
    windows=("brain 004", "vascular 004", "bone"),
    scheme="6-node",
    loss="bce",
    batch=32,
    epochs=1,
)


_BACKBONE_004 = replace(_TRAINING_004, weights="imagenet")


SYSTEM_004 = (
    replace(
        _TRAINING_004,
        name="vanilla-004",
        task="classify",
        builder="vanilla_004",
        source=f"{_004}; third window chosen here",
    ),
    replace(
        _TRAINING_004,
        name="alexnet-004",
        task="classify",
        builder="alexnet_004",
        source=f"{_004}; widths of Krizhevsky et al. 2012, whose dense layer grows to 205 M weights on 512x512",
    ),
    replace(
        _BACKBONE_004,
        name="inceptionv3-004a",
        task="classify",
        builder="backbone",
        options={"base": "InceptionV3", "trainable": "none"},
        source=f"{_004}; it ended in a softmax and got [0, 1], here in sigmoids and [-1, 1]; freezing chosen here",
    ),
    replace(
        _BACKBONE_004,
        name="inceptionv3-004b",
        task="classify",
        builder="backbone",
        options={"base": "InceptionV3", "trainable": "after mixed8"},
        source=f"{_004}; as inceptionv3-004a, with the two last Inception blocks trained; freezing chosen here",
    ),
    replace(
        _BACKBONE_004,
        name="resnet50-004",
        task="classify",
        builder="backbone",
        options={"base": "ResNet50", "trainable": "none"},
        source=f"{_004}; freezing chosen here",
    ),
    replace(
        _BACKBONE_004,
        name="densenet121-004",
        task="classify",
        builder="backbone",
        options={"base": "DenseNet121", "trainable": "none"},
        source=f"{_004}; freezing chosen here",
    ),
)


# The methods before networks: numbers measured on a slice (`ich_lib.models.classical.FEATURES`), and a model of
# scikit-learn on them.
CLASSICAL = tuple(
    Recipe(
        f"classical-{model}",
        "classify",
        "classical",
        {"model": model},
        size=128,
        neighbors=0,
        sampling="natural",
        augment=NO_AUGMENT,
        loss="bce",
        batch=32,
        steps=0,
        epochs=1,
        source=f"sister projects of system 000: {text} on hand-made features; features and settings chosen here",
    )
    for model, text in {
        "logistic": "logistic regression",
        "lda": "linear discriminant analysis",
        "qda": "quadratic discriminant analysis",
        "bayes": "naive Bayes",
        "knn": "k nearest neighbors",
        "svm": "support vector machine",
        "forest": "random forest",
        "adaboost": "AdaBoost",
        "boosting": "gradient boosting",
        "mlp": "multilayer perceptron",
    }.items()
)
