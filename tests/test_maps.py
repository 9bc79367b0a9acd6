"""The feature map and the state change each other."""
import pytest


@pytest.fixture
def panel(explorer):
    explorer.map.images = explorer.state.pred.images.tolist()
    return explorer.map


def test_picked_points_fill_the_gallery(explorer, panel):
    panel.pick([0, 5, 9, 999])
    state = explorer.state
    assert set(state.pred.images[state.shown[0]]) == set(state.pred.images[[0, 5, 9]])
    assert explorer.gallery.gallery.title.endswith("picked on the map")
    state.filters.choose()
    assert state.filters.picked is None


def test_one_point_shows_its_image(explorer, panel):
    explorer.tabs.selected_index = 2
    panel.pick([7], show=True)
    assert explorer.state.image == explorer.state.pred.images[7] and explorer.tabs.selected_index == 0


def test_the_current_image_is_ringed(explorer, panel):
    explorer.state.select(2)
    assert panel.images[panel.map.marked] == explorer.state.image


def test_another_fold_clears_the_map(explorer, panel):
    explorer.filters.fold.value = 1
    panel.colour.value = "class"
    panel.pick([0])
    assert panel.images == [] and panel.map.xy == b""


@pytest.mark.parametrize("by, names", [("error", ["right", "wrong", "not predicted"]), ("class", ["Benign", "Early", "Pre", "Pro"]),
                                       ("prediction", ["Benign", "Early", "Pre", "Pro", "not predicted"])])
def test_the_legend_counts_every_point_once(panel, by, names):
    panel.colour.value = by
    panel.paint()
    assert [entry["label"] for entry in panel.map.legend] == names
    assert sum(entry["count"] for entry in panel.map.legend) == len(panel.images) == len(panel.map.kinds)
    assert [entry["count"] for entry in panel.map.legend] == [panel.map.kinds.count(bytes([k])) for k in range(len(names))]


def test_without_models_there_is_no_map(explorer):
    explorer.tabs.selected_index = 2
    explorer.sources.worker.wait()
    assert explorer.map.map.note.startswith("No map: ")
