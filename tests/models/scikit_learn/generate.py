"""Makes the models of this folder and their references: `pip install scikit-learn skl2onnx lightgbm xgboost onnxmltools
onnxruntime`, then `python generate.py`. Estimators are fitted to random numbers and exported by default, so their
classifiers end in maps; a reference holds inputs, and what ONNX Runtime gives of them, as `orogen run` reads it.
"""

import pathlib

import numpy as np
import onnxruntime
from onnxmltools.convert import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as Floats
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DictionaryType, FloatTensorType, StringTensorType

from lightgbm import LGBMClassifier
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

HERE = pathlib.Path(__file__).resolve().parent
OPSETS = {"": 18, "ai.onnx.ml": 3}
rng = np.random.RandomState(7)
X = rng.randn(80, 4).astype(np.float32)
three = (X @ rng.randn(4, 3)).argmax(1)
two = (X[:, 0] > 0.2).astype(int)
trees = np.array(["ash", "birch", "cedar"])[three]
answers = np.array(["yes", "no"])[two]


def arrays(name, value, found):
    """What `orogen run` calls the parts of a value."""
    if isinstance(value, dict):
        keys = list(value)
        found[f"{name}[keys]"] = np.array(keys, np.int64 if isinstance(keys[0], int) else np.str_)
        found[f"{name}[values]"] = np.array(list(value.values()), np.float32)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            arrays(f"{name}[{i}]", item, found)
    else:
        found[name] = value.astype(np.str_) if value.dtype == object else value


def save(name, proto, *inputs):
    proto.producer_version = ""
    data = proto.SerializeToString()
    (HERE / f"{name}.onnx").write_bytes(data)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for i, given in enumerate(inputs):
        found = {}
        for key, value in given.items():
            arrays(f"in:{key}", value, found)
        outputs = session.run(None, {k: v.astype(object) if getattr(v, "dtype", X.dtype).kind == "U" else v for k, v in given.items()})
        for output, value in zip(session.get_outputs(), outputs):
            arrays(f"out:{output.name}", value, found)
        np.savez_compressed(HERE / f"{name}_{i}.npz", **found)


def numbers(name, estimator, labels):
    model = estimator.fit(X, labels)
    if isinstance(estimator, (LGBMClassifier, XGBClassifier)):
        convert = convert_lightgbm if isinstance(estimator, LGBMClassifier) else convert_xgboost
        proto = convert(model, initial_types=[("X", Floats([None, 4]))], target_opset=15)
    else:
        proto = convert_sklearn(model, name, [("X", FloatTensorType([None, 4]))], target_opset=OPSETS)
    save(name, proto, {"X": X[:1]}, {"X": X[3:8]})


numbers("logistic", LogisticRegression(), trees)
numbers("tree", DecisionTreeClassifier(max_depth=3, random_state=0), two)
numbers("forest", RandomForestClassifier(3, max_depth=3, random_state=0), answers)
numbers("boosting", GradientBoostingClassifier(n_estimators=2, max_depth=2, random_state=0), three)
numbers("support_vectors", make_pipeline(StandardScaler(), SVC(probability=True, random_state=0)), answers)
numbers("lightgbm", LGBMClassifier(n_estimators=2, num_leaves=4, verbose=-1), three)
numbers("xgboost", XGBClassifier(n_estimators=2, max_depth=2), two)

words = np.array(["a", "b", "c"])[rng.randint(0, 3, (80, 1))]
table = np.concatenate([X[:, :2].astype(object), words.astype(object)], axis=1)
encoded = ColumnTransformer([("n", StandardScaler(), [0, 1]), ("w", OneHotEncoder(handle_unknown="ignore"), [2])])
types = [("a", FloatTensorType([None, 1])), ("b", FloatTensorType([None, 1])), ("w", StringTensorType([None, 1]))]
proto = convert_sklearn(make_pipeline(encoded, LogisticRegression()).fit(table, trees), "table", types, target_opset=OPSETS)
rows = {"a": X[:5, :1], "b": X[:5, 1:2], "w": np.array([["a"], ["b"], ["unknown"], ["c"], [""]])}
save("table", proto, {k: v[:1] for k, v in rows.items()}, rows)

texts = np.array(["The quick brown fox", "jumps over the lazy dog", "the dog barks!", "quick, quick fox"] * 4)
about = np.array(["fox", "dog", "dog", "fox"] * 4)
vectors = TfidfVectorizer(ngram_range=(1, 2), max_features=12)
pipeline = make_pipeline(vectors, LogisticRegression()).fit(texts, about)
options = {id(vectors): {"locale": "C"}}
proto = convert_sklearn(pipeline, "texts", [("D", StringTensorType([None]))], options=options, target_opset=OPSETS)
save("texts", proto, {"D": texts[:1]}, {"D": texts[1:4]})

maps = [{"a": 1.0, "b": 2.0}, {"b": 3.0, "c": -1.0}]
types = [("m", DictionaryType(StringTensorType([1]), FloatTensorType([1])))]
proto = convert_sklearn(DictVectorizer(sparse=False).fit(maps), "maps", types, target_opset=OPSETS)
save("maps", proto, {"m": maps[1]}, {"m": {"?": 4.0, "a": 0.5}})
