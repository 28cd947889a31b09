"""Pictures, and the networkx graph of modules, tensors, storages and optimizer groups that they are made of."""

from paramscope.render.picture._graph import build_graph as build_graph
from paramscope.render.picture._select import ONLY as ONLY
from paramscope.render.picture._select import around as around
from paramscope.render.picture._select import only as only
