"""Laws of the batch plan."""

from hypothesis import given
from hypothesis import strategies as st

from llm_mri_store.extraction.batching import plan_batches

lengths = st.lists(st.integers(0, 40), max_size=60)
budgets = st.integers(1, 120)


@given(lengths, budgets)
def test_every_text_with_a_token_is_in_exactly_one_batch(n_tokens, budget):
    places = [int(place) for batch in plan_batches(n_tokens, batch_tokens=budget) for place in batch]
    assert sorted(places) == [place for place, length in enumerate(n_tokens) if length]


@given(lengths, budgets)
def test_no_batch_exceeds_the_budget_but_a_single_text(n_tokens, budget):
    for batch in plan_batches(n_tokens, batch_tokens=budget):
        padded = max(n_tokens[place] for place in batch) * len(batch)
        assert padded <= budget or len(batch) == 1


@given(lengths, budgets)
def test_texts_are_read_longest_first_and_batches_are_full(n_tokens, budget):
    batches = plan_batches(n_tokens, batch_tokens=budget)
    read = [n_tokens[place] for batch in batches for place in batch]
    assert read == sorted(read, reverse=True)
    for batch in batches[:-1]:
        assert n_tokens[batch[0]] * (len(batch) + 1) > budget


@given(lengths, budgets)
def test_the_plan_is_a_pure_function_of_the_lengths(n_tokens, budget):
    one = plan_batches(n_tokens, batch_tokens=budget)
    again = plan_batches(tuple(n_tokens), batch_tokens=budget)
    assert [batch.tolist() for batch in one] == [batch.tolist() for batch in again]
