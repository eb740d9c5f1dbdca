"""The three forms of a trace: requests, clients' loads, clients' sizes."""

from collections import Counter
from pathlib import Path

from jangbu.cli.demo.trace import read_trace

SIZES = "servegen_token_quantiles_6h.csv.gz"


def written(file: Path, *lines: str) -> str:
    file.write_text("\n".join(lines) + "\n")
    return str(file)


def test_requests_are_taken_from_the_start_in_the_order_of_time(tmp_path: Path) -> None:
    file = written(
        tmp_path / "trace.csv",
        "timestamp,user,model,prompt_tokens,completion_tokens",
        "2027-01-01 00:00:02.5000000,,chat,30,3",
        "2027-01-01 00:00:01,kim,chat,10,1",
        "2027-01-01 00:00:09,,chat,90,9",
    )
    trace = read_trace(file, 2, seed=1)
    assert [(each.user, each.prompt_tokens, each.completion_tokens) for each in trace.requests] == [
        ("kim", 10, 1),
        ("", 30, 3),
    ]
    assert (trace.users, trace.seconds) == (("kim",), 1)


def test_loads_are_thinned_out_so_that_each_client_keeps_its_share(tmp_path: Path) -> None:
    file = written(
        tmp_path / "loads.csv",
        "timestamp,user,model,requests,arrival_cv",
        "600,much,m,6000,1.5",
        "0,little,m,2000,0.9",
        "0,none,m,0,",
    )
    trace = read_trace(file, 40, seed=1)
    assert Counter(each.user for each in trace.requests) == {"much": 30, "little": 10}
    assert [each.at_ms for each in trace.requests] == sorted(each.at_ms for each in trace.requests)
    assert "of sizes that the trace does not tell" in trace.described


def test_loads_are_sized_by_the_clients_sizes_beside_them(tmp_path: Path) -> None:
    written(
        tmp_path / SIZES,
        "timestamp,user,model,field,mean,q0.5,q1",
        "0,kim,m,input_tokens,5.5,5,5",
        "0,kim,m,output_tokens,7.5,7,7",
        "21600,kim,m,input_tokens,50.5,50,50",
        "21600,kim,m,output_tokens,70.5,70,70",
        "0,kim,m,reason_ratio,0.5,0.5,0.5",
    )
    file = written(tmp_path / "loads.csv", "timestamp,user,model,requests", "600,kim,m,1", "30000,kim,m,1")
    trace = read_trace(file, 10, seed=1)
    assert [(each.prompt_tokens, each.completion_tokens) for each in trace.requests] == [(5, 7), (50, 70)]


def test_sizes_alone_make_one_request_for_each_client_and_window(tmp_path: Path) -> None:
    file = written(
        tmp_path / "sizes.csv",
        "timestamp,user,model,field,mean,q0.5",
        "21600,kim,m,input_tokens,5.5,5",
        "21600,kim,m,output_tokens,7.5,7",
        "0,lee,m,input_tokens,1.5,1",
        "0,lee,m,output_tokens,2.5,2",
        "0,only-input,m,input_tokens,1.5,1",
    )
    trace = read_trace(file, 10, seed=1)
    assert [(each.user, each.prompt_tokens, each.completion_tokens) for each in trace.requests] == [
        ("lee", 1, 2),
        ("kim", 5, 7),
    ]


def test_the_same_seed_reads_the_same_requests(tmp_path: Path) -> None:
    file = written(tmp_path / "loads.csv", "timestamp,user,model,requests", "0,kim,m,500")
    assert read_trace(file, 50, seed=1) == read_trace(file, 50, seed=1) != read_trace(file, 50, seed=2)
