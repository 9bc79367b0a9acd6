"The course written out for students and lecturers."
import json

import pytest

from leuknb.lib import course
from leuknb.lib.errors import InputError


def code(text, **more):
    return {"cell_type": "code", "source": text, "metadata": {}, "outputs": [{"output_type": "stream", "text": "42"}], **more}


def text(words):
    return {"cell_type": "markdown", "source": words, "metadata": {}}


CELLS = [text("# Title"), code("#| export\ndef f(): ..."), text("How many?"), code("guess = {'a': 3, 'b': -1.5}"), text("Look:"),
         code("helper = 1"), code("assert 42 == 42\nguess, 42")]


def test_an_exercise_is_found_with_its_question_and_check():
    assert course.exercises(CELLS) == [(2, 3, 6)]


@pytest.mark.parametrize("given, blank", [
    ("guess = 0.95", "guess = ..."), ("guess = -1", "guess = -..."), ("guess = ['a', 'b']", "guess = [..., ...]"),
    ("guess = {1: 'Pro', 5: 'Pre'}", "guess = {1: ..., 5: ...}"), ("guess = ('IX', 'X')", "guess = (..., ...)"), ("guess = {'warm'}", "guess = {...}"),
    ("guess = True", "guess = ...")])
def test_values_are_taken_out_and_the_form_stays(given, blank):
    assert course.blank(given).split("  #")[0] == blank


def test_a_student_sees_no_answer_but_every_check():
    cells = course.for_student(CELLS)
    assert "3" not in cells[3]["source"] and cells[3]["outputs"] == cells[5]["outputs"] == cells[6]["outputs"] == []
    assert cells[6]["source"].endswith("assert 42 == 42\nguess, 42") and cells[6]["metadata"]["jupyter"]["source_hidden"]
    assert cells[1]["metadata"]["jupyter"]["source_hidden"] and cells[1]["outputs"]
    assert CELLS[3]["source"].startswith("guess = {'a': 3")  # the notebook itself stays as it is


@pytest.mark.parametrize("guess", [..., [1, ...], {"a": ...}, (..., 2), {...}])
def test_a_check_asks_for_the_guess_first(guess):
    with pytest.raises(InputError, match="your guess"):
        course.answered(guess)


def test_the_check_of_a_student_runs_after_a_guess(tmp_path):
    cells = course.for_student(CELLS)
    with pytest.raises((InputError, TypeError)):
        exec(cells[3]["source"] + "\n" + cells[6]["source"], {})
    exec("guess = {'a': 1, 'b': 2}\n" + cells[6]["source"], {})


def test_the_course_of_this_package(tmp_path):
    said = course.write_course(tmp_path / "student")
    course.write_course(tmp_path / "teacher", teacher=True)
    names = sorted(path.name for path in (tmp_path / "student").glob("*.ipynb"))
    assert "000_tour.ipynb" in names and "index.ipynb" not in names and (tmp_path / "student" / "images").is_dir()
    for name in names:
        student, teacher = (json.loads((tmp_path / who / name).read_text(encoding="utf-8"))["cells"] for who in ("student", "teacher"))
        assert len(student) == len(teacher)
        for exercise in course.exercises(teacher):
            assert "..." in student[exercise.guess]["source"] and student[exercise.check]["outputs"] == []
            assert course.source(student[exercise.check]).endswith(course.source(teacher[exercise.check]))
        prose = "\n".join(course.source(c) for c in student if c["cell_type"] == "markdown")
        assert "](../" not in prose and "](lib/" not in prose
    assert str(tmp_path / "student") in said and "jupyter lab" in said
    with pytest.raises(InputError, match="already holds something"):
        course.write_course(tmp_path / "student")


def test_an_installation_without_notebooks_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(course.leuknb, "__file__", str(tmp_path / "leuknb" / "__init__.py"))
    with pytest.raises(InputError, match="install leuknb again"):
        course.write_course(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_notebook_with_exercises_has_them_in_the_form_that_can_be_blanked():
    for path in course.course_notebooks():
        cells = course.read_cells(path)
        prose = "\n".join(course.source(cell) for cell in cells if cell["cell_type"] == "markdown")
        guesses = sum(cell["cell_type"] == "code" and course.source(cell).startswith("guess =") for cell in cells)
        assert "## Exercise" not in prose or len(course.exercises(cells)) == guesses > 0, path.name
