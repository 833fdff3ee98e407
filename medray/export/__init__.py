"""An ensemble as one ONNX file that answers without medray, with a model card."""
