from medray.search.print_introduction import list_slow_pipelines


def test_a_search_names_what_is_slow() -> None:
    flip, slow = {"HorizontalFlip": {}}, ({"InvertImg": {}}, {"CLAHE": {}})
    pipelines = {"none": (), "mild": (flip,), "report": (flip, *slow)}
    assert list(list_slow_pipelines(pipelines)) == [
        "transforms 'report': no batched form of InvertImg, CLAHE: image by image, which is slower"
    ]
