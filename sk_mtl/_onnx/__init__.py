"""ONNX graphs of fitted estimators, written from their own description. No TensorFlow."""
