"""Names of tables, columns, files and folders, and the Arrow schemas: spelled here and nowhere else."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from llm_mri_store.schema.result_kinds import COMPARISON as COMPARISON
from llm_mri_store.schema.result_kinds import CONTRAST as CONTRAST
from llm_mri_store.schema.result_kinds import EDGE_TEST as EDGE_TEST
from llm_mri_store.schema.result_kinds import INFORMATION as INFORMATION
from llm_mri_store.schema.result_kinds import LABEL_CONTRAST as LABEL_CONTRAST
from llm_mri_store.schema.result_kinds import LAYER_QUALITY as LAYER_QUALITY
from llm_mri_store.schema.result_kinds import RESULT as RESULT
from llm_mri_store.schema.result_kinds import RESULT_KINDS as RESULT_KINDS
from llm_mri_store.schema.result_kinds import TESTS as TESTS
from llm_mri_store.schema.result_kinds import ResultKind as ResultKind
from llm_mri_store.schema.result_kinds import result_schema as result_schema

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT_VERSION: Final = 1
"""Version of the layout on disk; a store of a newer version is refused."""

# Folders and files of a store.
STORE_FILE: Final = "store.json"
SCANS_FOLDER: Final = "scans"
SCAN_FILE: Final = "scan.json"
PRUNED_FILE: Final = "pruned.json"
CHUNKS_FOLDER: Final = "chunks"
CHUNK_FILE: Final = "chunk.json"
SAMPLES_FILE: Final = "samples.parquet"
ACTIVATIONS_FILE: Final = "activations.parquet"
REDUCTIONS_FOLDER: Final = "reductions"
REDUCTION_FILE: Final = "reduction.json"
REDUCER_FILE: Final = "reducer.safetensors"
POINTS_FOLDER: Final = "points"
RESULTS_FOLDER: Final = "results"
RESULT_FILE: Final = "result.json"
STAGING_FOLDER: Final = "_staging"

# Columns of the samples table.
SAMPLE_ID: Final = "sample_id"
TEXT: Final = "text"
LABEL: Final = "label"
N_TOKENS: Final = "n_tokens"
TRUNCATED: Final = "truncated"
STATUS: Final = "status"

# Columns of the samples table of a token scan, where a sample is a token of a text.
TEXT_ID: Final = "text_id"
TOKEN_POSITION: Final = "token_position"
CHAR_START: Final = "char_start"
CHAR_END: Final = "char_end"
CONTEXT: Final = "context"
TEXT_LABEL: Final = "text_label"

# Columns of the points table.
LAYER: Final = "layer"
COORDINATES: Final = "coordinates"
CELL_X: Final = "cell_x"
CELL_Y: Final = "cell_y"

# Columns of the views that a covariate must not hide.
VECTOR: Final = "vector"
SCAN: Final = "scan"
REDUCTION: Final = "reduction"

SAMPLE_COLUMNS: Final = (SAMPLE_ID, TEXT, LABEL, N_TOKENS, TRUNCATED, STATUS)
TOKEN_COLUMNS: Final = (TEXT_ID, TOKEN_POSITION, CHAR_START, CHAR_END, CONTEXT, TEXT_LABEL)
POINT_COLUMNS: Final = (LAYER, SAMPLE_ID, LABEL, COORDINATES, CELL_X, CELL_Y)
ACTIVATION_COLUMNS: Final = (LAYER, SAMPLE_ID, VECTOR)
RESERVED_COLUMNS: Final = frozenset({*SAMPLE_COLUMNS, *POINT_COLUMNS, VECTOR, SCAN, REDUCTION})
"""Names a covariate cannot take; such a column of a corpus is stored as ``corpus_<name>``."""

# Views every SQL user sees (sql/views.sql), and the tables below them that a connection binds.
SCANS_VIEW: Final = "scans"
REDUCTIONS_VIEW: Final = "reductions"
SAMPLES_VIEW: Final = "samples"
ACTIVATIONS_VIEW: Final = "activations"
TERMS_VIEW: Final = "terms"
POINTS_VIEW: Final = "points"
LAYERS_VIEW: Final = "layers"
RESULTS_VIEW: Final = "results"
STORE_VIEWS: Final = (SCANS_VIEW, REDUCTIONS_VIEW)
SCAN_VIEWS: Final = (SAMPLES_VIEW, TERMS_VIEW, ACTIVATIONS_VIEW, RESULTS_VIEW)
REDUCTION_VIEWS: Final = (POINTS_VIEW, LAYERS_VIEW)
STORED_PREFIX: Final = "stored_"


class Status(StrEnum):
    """What became of a sample; all but ``ok`` have no point, no cell and no part in a fit."""

    OK = "ok"
    EMPTY = "empty"
    """The text has no visible character, or no token."""
    NULL_TEXT = "null_text"
    NULL_LABEL = "null_label"
    NOT_FINITE = "not_finite"
    """The model returned NaN or infinity at some layer."""

    @property
    def is_readable(self) -> bool:
        """True for a text that is run through the model, labelled or not."""
        return self in {Status.OK, Status.NULL_LABEL}


def layer_column(layer: int) -> str:
    """Name of a layer's column in ``activations.parquet``.

    >>> layer_column(6)
    'layer_06'
    """
    return f"layer_{layer:02d}"


def points_file(layer: int) -> str:
    """Name of a layer's file in a reduction's ``points`` folder.

    >>> points_file(6)
    'layer=06.parquet'
    """
    return f"layer={layer:02d}.parquet"


def result_table_file(table: str) -> str:
    """Name of the file that holds a result's rows of a table.

    >>> result_table_file("layer_quality")
    'layer_quality.parquet'
    """
    return f"{table}.parquet"


def chunk_folder(index: int) -> str:
    """Name of a chunk's folder.

    >>> chunk_folder(12)
    '000012'
    """
    return f"{index:06d}"


def samples_schema(covariates: pa.Schema) -> pa.Schema:
    """Arrow schema of ``samples.parquet``.

    Args:
        covariates: the fields of the corpus's further columns.

    Returns:
        sample_id int64, text string, label string, n_tokens int32, truncated bool,
        status string, then the covariates.
    """
    import pyarrow as pa

    own = [
        pa.field(SAMPLE_ID, pa.int64(), nullable=False),
        pa.field(TEXT, pa.string()),
        pa.field(LABEL, pa.string()),
        pa.field(N_TOKENS, pa.int32(), nullable=False),
        pa.field(TRUNCATED, pa.bool_(), nullable=False),
        pa.field(STATUS, pa.string(), nullable=False),
    ]
    return pa.schema([*own, *covariates])


def token_covariates() -> pa.Schema:
    """Fields that a token scan has beside the corpus's covariates.

    Returns:
        text_id int64, 0-based place of the token's text in the corpus; token_position int32, its place in
        what the model reads; char_start and char_end int64, its characters in the text; context string, a
        few words around it; text_label string, its text's label.
    """
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(TEXT_ID, pa.int64()),
            pa.field(TOKEN_POSITION, pa.int32()),
            pa.field(CHAR_START, pa.int64()),
            pa.field(CHAR_END, pa.int64()),
            pa.field(CONTEXT, pa.string()),
            pa.field(TEXT_LABEL, pa.string()),
        ]
    )


def activations_schema(layers: tuple[int, ...], hidden_size: int) -> pa.Schema:
    """Arrow schema of ``activations.parquet``.

    Returns:
        sample_id int64, then per layer ``layer_NN`` fixed_size_list<float32>[hidden_size];
        NULL where the sample has no activation.
    """
    import pyarrow as pa

    vector = pa.list_(pa.float32(), hidden_size)
    return pa.schema(
        [
            pa.field(SAMPLE_ID, pa.int64(), nullable=False),
            *(pa.field(layer_column(layer), vector) for layer in layers),
        ]
    )


def points_schema(n_components: int) -> pa.Schema:
    """Arrow schema of a points file.

    Returns:
        sample_id int64, layer int16, coordinates fixed_size_list<float32>[n_components],
        cell_x int16, cell_y int16; the last three NULL for a sample whose status is not ``ok``,
        the cells NULL for a reduction without a grid.
    """
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(SAMPLE_ID, pa.int64(), nullable=False),
            pa.field(LAYER, pa.int16(), nullable=False),
            pa.field(COORDINATES, pa.list_(pa.float32(), n_components)),
            pa.field(CELL_X, pa.int16()),
            pa.field(CELL_Y, pa.int16()),
        ]
    )
