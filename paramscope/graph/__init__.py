"""Report → a networkx MultiDiGraph of modules, tensors, storages and optimizer groups; pictures are made of it."""

from paramscope.graph.build import build_graph as build_graph
from paramscope.graph.select import ONLY as ONLY
from paramscope.graph.select import around as around
from paramscope.graph.select import only as only
