"""``llm-mri sites``: where a model can be read."""

import csv
import io
import json
import shutil

import pytest
from transformers import AutoModel, AutoTokenizer

from llm_mri_store.api.sites import model_sites
from llm_mri_store.errors import ModelError
from tests.cli.shell import refused, shell
from tests.models import save_architecture


def ok(*words):
    result = shell(*words)
    assert result.exit_code == 0, result.output
    return result


def rows(*words):
    return json.loads(ok("sites", *words, "--format", "json").stdout)


def test_a_row_for_each_site(tiny_bert):
    assert [list(row.values())[:4] for row in rows(tiny_bert)] == [
        ["residual", "0-3", 16, "input of encoder.layer.0; output of encoder.layer.{layer}"],
        ["mlp", "1-3", 16, "output of encoder.layer.{layer}.output.dense"],
        ["neurons", "1-3", 32, "input of encoder.layer.{layer}.output.dense"],
        ["attention", "1-3", 16, "output of encoder.layer.{layer}.attention.output.dense"],
    ]
    assert list(rows(tiny_bert)[0]) == ["site", "layers", "width", "read_at", "what"]


def test_a_table_and_csv_say_the_same(tiny_gpt2):
    table = ok("sites", tiny_gpt2).stdout
    records = list(csv.DictReader(io.StringIO(ok("sites", tiny_gpt2, "--format", "csv").stdout)))
    assert [record["site"] for record in records] == ["residual", "final_norm", "mlp", "neurons", "attention"]
    for record in records:
        assert record["read_at"] in table
        assert record["what"] in table


def test_the_side_of_an_encoder_decoder_is_chosen(tmp_path):
    folder = save_architecture("bart", tmp_path / "bart")
    assert [row["layers"] for row in rows(folder)] == ["0-3", "1-3", "1-3", "1-3"]
    assert rows(folder) == rows(folder, "--side", "encoder")
    decoder = rows(folder, "--side", "decoder")
    assert [row["site"] for row in decoder] == ["residual", "mlp", "neurons", "attention", "cross_attention"]
    assert {row["layers"] for row in decoder} == {"0-2", "1-2"}


def test_layers_that_are_not_all_are_listed_as_the_option_takes_them(tmp_path):
    own = {"mamba_d_state": 4, "num_experts": 2, "attn_layer_period": 3, "attn_layer_offset": 1}
    folder = save_architecture(
        "llama", tmp_path / "jamba", model_type="jamba", use_mamba_kernels=False, num_hidden_layers=5, **own
    )
    found = {row["site"]: row["layers"] for row in rows(folder)}
    assert (found["attention"], found["mixer"]) == ("2,5", "1,3-4")


def test_weights_are_not_needed(tiny_bert, tmp_path):
    bare = shutil.copytree(tiny_bert, tmp_path / "bare", ignore=shutil.ignore_patterns("*.safetensors"))
    assert rows(bare) == rows(tiny_bert)


def test_nothing_but_the_rows_is_printed(tiny_bert):
    assert ok("sites", tiny_bert).stderr == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["./nowhere"], "no model at ./nowhere: there is no such folder"),
        (["nobody/nothing"], "model 'nobody/nothing' cannot be loaded: it is no folder here"),
        (["BERT", "--side", "decoder"], "is no encoder-decoder, so it has no sides"),
    ],
)
def test_what_cannot_be_listed_is_one_sentence(tiny_bert, words, message):
    assert message in refused("sites", *(tiny_bert if word == "BERT" else word for word in words))


def test_a_model_whose_blocks_are_not_found_is_one_sentence(tmp_path):
    # It pads texts to whole attention windows, so its blocks see more tokens than there are.
    folder = save_architecture("bert", tmp_path / "long", model_type="longformer", attention_window=4)
    message = refused("sites", folder)
    assert message.startswith(
        "model 'long' has no named sites: what leaves its blocks is not what it returns"
    )
    assert message.endswith("a module path pattern such as h.{layer}.mlp reads any module")


def test_a_loaded_model_is_listed_as_well(tiny_bert):
    model, tokenizer = AutoModel.from_pretrained(tiny_bert), AutoTokenizer.from_pretrained(tiny_bert)
    assert model_sites(model, tokenizer=tokenizer).rows() == rows(tiny_bert)
    with pytest.raises(ModelError, match="a model is a Hub id"):
        model_sites(7)
