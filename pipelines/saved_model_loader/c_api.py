"""TensorFlow's C API by ctypes: loads a SavedModel and calls its signatures."""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from messages import DTYPES, STRING, Arrays, ServingError, entries, values

_LIBRARIES = ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2")
_PREDICT = b"tensorflow/serving/predict"
_STRING_SIZE = 24  # sizeof(TF_TString)
_NUMBERS = {np.dtype(name): number for number, name in DTYPES.items()} | {np.dtype(object): STRING}

_TYPES = {
    "p": ctypes.c_void_p,
    "s": ctypes.c_char_p,
    "i": ctypes.c_int,
    "l": ctypes.c_int64,
    "n": ctypes.c_size_t,
    "-": None,
}
# tensorflow/c/{c_api,tf_tensor,tf_tstring}.h: result, then arguments.
_FUNCTIONS = {
    "TF_NewStatus": "p",
    "TF_GetCode": "ip",
    "TF_Message": "sp",
    "TF_NewGraph": "p",
    "TF_NewSessionOptions": "p",
    "TF_NewBuffer": "p",
    "TF_LoadSessionFromSavedModel": "pppspippp",
    "TF_GraphOperationByName": "pps",
    "TF_SessionRun": "-ppppippipipp",
    "TF_AllocateTensor": "pipin",
    "TF_DeleteTensor": "-p",
    "TF_TensorType": "ip",
    "TF_NumDims": "ip",
    "TF_Dim": "lpi",
    "TF_TensorByteSize": "np",
    "TF_TensorData": "pp",
    "TF_StringInit": "-p",
    "TF_StringCopy": "-psn",
    "TF_StringGetDataPointer": "pp",
    "TF_StringGetSize": "np",
}


class _Buffer(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("free", ctypes.c_void_p)]


class _Output(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


def load_libraries(folder: Path) -> ctypes.CDLL:
    """Loads TensorFlow's shared libraries and declares the functions of its C API."""
    try:
        for name in _LIBRARIES:
            library = ctypes.CDLL(str(folder / name), ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise ServingError(
            f"TensorFlow's libraries cannot be loaded: {error}. "
            f"Give the folder of {_LIBRARIES[1]}, the tensorflow package, with --libraries."
        ) from error
    for name, types in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, *function.argtypes = (_TYPES[letter] for letter in types)
    return library


class Session:
    """A loaded SavedModel.

    Args:
        tf: What `load_libraries` returned.
        folder: Of the SavedModel.
    """

    def __init__(self, tf: ctypes.CDLL, folder: Path) -> None:
        self._tf = tf
        self._status = tf.TF_NewStatus()
        self._graph = tf.TF_NewGraph()
        meta_graph = tf.TF_NewBuffer()
        self._session = tf.TF_LoadSessionFromSavedModel(
            tf.TF_NewSessionOptions(),
            None,
            os.fsencode(folder),
            (ctypes.c_char_p * 1)(b"serve"),
            1,
            self._graph,
            meta_graph,
            self._status,
        )
        self._check("The SavedModel cannot be loaded")
        buffer = _Buffer.from_address(meta_graph)
        # MetaGraphDef.signature_def 5; SignatureDef: inputs 1, outputs 2, method_name 3.
        self.signatures = {
            name: signature
            for name, signature in entries(ctypes.string_at(buffer.data, buffer.size), 5).items()
            if _PREDICT in values(signature, 3)
        }

    def run(self, signature: str, inputs: Arrays) -> Arrays:
        """Calls a signature."""
        tf, definition = self._tf, self.signatures[signature]
        given, wanted = entries(definition, 1), entries(definition, 2)
        if set(given) != set(inputs):
            raise ServingError(f"{signature} takes {sorted(given)}. Received: {sorted(inputs)}.")
        fed = (ctypes.c_void_p * len(given))(*(self._tensor(inputs[name]) for name in given))
        fetched = (ctypes.c_void_p * len(wanted))()
        tf.TF_SessionRun(
            self._session,
            None,
            *(self._places(given.values()), fed, len(given)),
            *(self._places(wanted.values()), fetched, len(wanted)),
            *(None, 0, None, self._status),
        )
        self._check(f"{signature} cannot be run")
        answer = {name: self._array(tensor) for name, tensor in zip(wanted, fetched, strict=True)}
        for tensor in (*fed, *fetched):
            tf.TF_DeleteTensor(tensor)
        return answer

    def _places(self, infos: Iterable[bytes]) -> ctypes.Array:
        # TensorInfo.name 1: "operation:index".
        names = [values(info, 1)[0].rpartition(b":") for info in infos]
        find = self._tf.TF_GraphOperationByName
        places = [_Output(find(self._graph, name), int(index)) for name, _, index in names]
        return (_Output * len(places))(*places)

    def _tensor(self, array: np.ndarray) -> int:
        tf, is_text = self._tf, array.dtype == object
        size = array.size * _STRING_SIZE if is_text else array.nbytes
        dims = (ctypes.c_int64 * array.ndim)(*array.shape)
        tensor = tf.TF_AllocateTensor(_NUMBERS[array.dtype], dims, array.ndim, size)
        place = tf.TF_TensorData(tensor)
        if is_text:
            for offset, text in enumerate(array.ravel()):
                tf.TF_StringInit(place + offset * _STRING_SIZE)
                tf.TF_StringCopy(place + offset * _STRING_SIZE, text, len(text))
        else:
            ctypes.memmove(place, np.ascontiguousarray(array).ctypes.data, size)
        return tensor

    def _array(self, tensor: int) -> np.ndarray:
        tf = self._tf
        shape = [tf.TF_Dim(tensor, axis) for axis in range(tf.TF_NumDims(tensor))]
        place, dtype = tf.TF_TensorData(tensor), tf.TF_TensorType(tensor)
        if dtype == STRING:
            texts = range(place, place + int(np.prod(shape)) * _STRING_SIZE, _STRING_SIZE)
            found = [
                ctypes.string_at(tf.TF_StringGetDataPointer(text), tf.TF_StringGetSize(text))
                for text in texts
            ]
            return np.array(found, dtype=object).reshape(shape)
        data = ctypes.string_at(place, tf.TF_TensorByteSize(tensor))
        return np.frombuffer(data, DTYPES[dtype]).reshape(shape)

    def _check(self, what: str) -> None:
        if self._tf.TF_GetCode(self._status):
            message = self._tf.TF_Message(self._status).decode(errors="replace")
            raise ServingError(f"{what}: {' '.join(message.split())}")
