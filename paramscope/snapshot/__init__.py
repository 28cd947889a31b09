"""What was seen in a model: plain records over compact columns, without torch.

A snapshot of 100,000 slots must cost little more than walking the model. So the facts lie in columns, and the
records that everybody reads are built when they are asked for.
"""

from paramscope.snapshot.columns import ATTRIBUTE as ATTRIBUTE
from paramscope.snapshot.columns import BUFFER as BUFFER
from paramscope.snapshot.columns import HAS_GRAD as HAS_GRAD
from paramscope.snapshot.columns import HOLDS as HOLDS
from paramscope.snapshot.columns import IS_LEAF as IS_LEAF
from paramscope.snapshot.columns import IS_PARAMETER as IS_PARAMETER
from paramscope.snapshot.columns import PARAMETER as PARAMETER
from paramscope.snapshot.columns import REGISTERED as REGISTERED
from paramscope.snapshot.columns import REQUIRES_GRAD as REQUIRES_GRAD
from paramscope.snapshot.columns import TRAINING as TRAINING
from paramscope.snapshot.columns import TRANSIENT_BUFFER as TRANSIENT_BUFFER
from paramscope.snapshot.columns import Interned as Interned
from paramscope.snapshot.columns import ModuleColumns as ModuleColumns
from paramscope.snapshot.columns import SlotColumns as SlotColumns
from paramscope.snapshot.columns import StorageColumns as StorageColumns
from paramscope.snapshot.columns import TensorColumns as TensorColumns
from paramscope.snapshot.oddities import ClassRecord as ClassRecord
from paramscope.snapshot.oddities import DeclaredTie as DeclaredTie
from paramscope.snapshot.oddities import Note as Note
from paramscope.snapshot.oddities import NoteKind as NoteKind
from paramscope.snapshot.oddities import Oddity as Oddity
from paramscope.snapshot.oddities import OddityKind as OddityKind
from paramscope.snapshot.oddities import ValueRecord as ValueRecord
from paramscope.snapshot.path import join as join
from paramscope.snapshot.path import slot_path as slot_path
from paramscope.snapshot.records import EMPTY_SLOT as EMPTY_SLOT
from paramscope.snapshot.records import FATES as FATES
from paramscope.snapshot.records import NO_OPTIMIZER as NO_OPTIMIZER
from paramscope.snapshot.records import AliasRecord as AliasRecord
from paramscope.snapshot.records import Fate as Fate
from paramscope.snapshot.records import ForeignRecord as ForeignRecord
from paramscope.snapshot.records import GroupRecord as GroupRecord
from paramscope.snapshot.records import Membership as Membership
from paramscope.snapshot.records import ModuleRecord as ModuleRecord
from paramscope.snapshot.records import OptimizerRecord as OptimizerRecord
from paramscope.snapshot.records import Part as Part
from paramscope.snapshot.records import Role as Role
from paramscope.snapshot.records import Setting as Setting
from paramscope.snapshot.records import SharingKind as SharingKind
from paramscope.snapshot.records import SharingRecord as SharingRecord
from paramscope.snapshot.records import SlotRecord as SlotRecord
from paramscope.snapshot.records import StateBytes as StateBytes
from paramscope.snapshot.records import StateRecord as StateRecord
from paramscope.snapshot.records import Status as Status
from paramscope.snapshot.records import StorageRecord as StorageRecord
from paramscope.snapshot.records import TensorRecord as TensorRecord
from paramscope.snapshot.records import TensorSpec as TensorSpec
from paramscope.snapshot.run import RUN_KINDS as RUN_KINDS
from paramscope.snapshot.run import Gradient as Gradient
from paramscope.snapshot.run import LooseParameter as LooseParameter
from paramscope.snapshot.run import ModuleRun as ModuleRun
from paramscope.snapshot.run import Phase as Phase
from paramscope.snapshot.run import Run as Run
from paramscope.snapshot.run import RunKind as RunKind
from paramscope.snapshot.run import TensorRun as TensorRun
from paramscope.snapshot.snapshot import Snapshot as Snapshot
from paramscope.snapshot.ties import NO_SUCH_SLOTS as NO_SUCH_SLOTS
from paramscope.snapshot.ties import is_simple_pattern as is_simple_pattern
from paramscope.snapshot.ties import without_wrappers as without_wrappers
from paramscope.snapshot.views import ModuleRecords as ModuleRecords
from paramscope.snapshot.views import Records as Records
from paramscope.snapshot.views import SlotRecords as SlotRecords
