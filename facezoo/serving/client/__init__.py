"""Asks a TensorFlow Serving server that serves a model of facezoo, by REST or by gRPC."""

from facezoo.serving.client.base import Client, ServerError
from facezoo.serving.client.grpc_client import GrpcClient
from facezoo.serving.client.rest_client import RestClient

__all__ = ["Client", "GrpcClient", "RestClient", "ServerError"]
