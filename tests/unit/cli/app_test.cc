#include "daemon/cli/app.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "daemon/cli/leatd.h"
#include "proto/base/result.h"
#include "tests/unit/folder.h"

using namespace leat;
using namespace leat::cli;

namespace {

Answer answer(const std::vector<std::string>& arguments) {
  Command command = parse_command_line(arguments);
  REQUIRE(std::holds_alternative<Answer>(command));
  return std::get<Answer>(command);
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an unknown command says what there is, and what may have been meant") {
  Answer unknown = answer({"chekc", "a.yaml"});
  CHECK(unknown.exit_code == kExitUsage);
  CHECK(has(unknown.text,
            "run, check, explain, sources, status, dead, scale, pause, resume, drain, stop, reload"));
  CHECK(has(unknown.text, "did you mean \"check\""));
}

TEST_CASE("mistakes in usage are 64 with a hint at the right help") {
  CHECK(has(answer({}).text, "leat needs a command: run, check"));
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {}, {"run"}, {"run", "a.yaml", "b.yaml"}, {"run", "a.yaml", "--folow"}, {"--nonsense"}}) {
    CHECK(answer(arguments).exit_code == kExitUsage);
  }
  CHECK(has(answer({"run"}).text, "see leat run --help"));
}

TEST_CASE("each mistake says what was meant, or what there is") {
  const auto first = [](const std::vector<std::string>& arguments) {
    Answer wrong = answer(arguments);
    CHECK(wrong.exit_code == kExitUsage);
    return wrong.text.substr(0, wrong.text.find('\n'));
  };
  CHECK(first({"run", "a.yaml", "--fesh"}) ==
        "leat: leat run has no option --fesh (did you mean \"--fresh\"?)");
  CHECK(first({"run", "--fesh"}) == "leat: leat run has no option --fesh (did you mean \"--fresh\"?)");
  CHECK(first({"run", "a.yaml", "--stat=x"}) ==
        "leat: leat run has no option --stat (did you mean \"--state\"?)");
  CHECK(first({"--nonsense"}) == "leat: leat has no option --nonsense");
  CHECK(first({"--nonsense", "run", "a.yaml"}) == "leat: leat run has no option --nonsense");
  CHECK(first({"run"}) == "leat: PIPELINE is missing: Pipeline file (YAML)");
  CHECK(first({"run", "a", "b"}) == "leat: leat run takes no further argument, got \"b\"");
  CHECK(first({"run", "a", "--state"}) == "leat: --state needs a value");
  CHECK(first({"dead"}) == "leat: leat dead needs a command: ls, show, replay");
  CHECK(first({"dead", "shw", "x"}) ==
        "leat: unknown command \"shw\" (did you mean \"show\"?); there are: ls, show, replay");
  CHECK(first({"dead", "show", "x", "0"}) == "leat: N: expected a number of leat dead ls, from 1; got \"0\"");
  CHECK(first({"scale", "a", "procesor", "2"}) ==
        "leat: ROLE: expected one of processor, got \"procesor\" (did you mean \"processor\"?)");
  CHECK(first({"ru\x1b[1mn"}).find('\x1b') == std::string::npos);
}

TEST_CASE("options may stand in front of the command") {
  auto status = std::get<StatusOptions>(parse_command_line({"--runtime-dir", "/r", "--json", "status", "x"}));
  CHECK(status.runtime_dir == "/r");
  CHECK(status.json);
  CHECK(status.of.pipeline == "x");
  CHECK(std::get<StatusOptions>(parse_command_line({"--runtime-dir=status", "status"})).runtime_dir ==
        "status");
  CHECK(std::get<StatusOptions>(parse_command_line({"--runtime-dir", "run", "status"})).runtime_dir == "run");
  auto list = std::get<DeadOptions>(parse_command_line({"--json", "dead", "ls", "--", "x"}));
  CHECK(list.json);
  CHECK(list.from == "x");
}

TEST_CASE("help is what the man pages say, of every command and page") {
  Answer overview = answer({"help"});
  CHECK(overview.exit_code == kExitOk);
  CHECK(overview.text == answer({"--help"}).text);
  for (const char* command :
       {"run", "check", "explain", "sources", "status", "dead", "scale", "pause", "resume", "drain", "stop",
        "reload", "pipeline", "leatd", "processor", "leat"}) {
    CAPTURE(command);
    Answer about = answer({"help", command});
    CHECK(about.exit_code == kExitOk);
    CHECK(about.text.size() > 50);
    CHECK_FALSE(has(about.text, "\\f"));
    CHECK_FALSE(has(about.text, "\\-"));
    CHECK_FALSE(has(about.text, "\n."));
  }
  CHECK(has(answer({"help", "run"}).text, "--fresh\n        Forget what earlier runs have done"));
  CHECK(has(answer({"help", "dead", "show"}).text, "Shows one letter and its record."));
  CHECK_FALSE(has(answer({"help", "dead", "show"}).text, "Lists dead letters"));
  CHECK(has(answer({"help", "pipeline"}).text, "max_record (size, 1KiB to 1GiB; default 16MiB)"));
  CHECK(has(answer({"help", "pipeline"}).text, "\\1 in the text is the first group"));
  Answer nothing = answer({"help", "rnu"});
  CHECK(nothing.exit_code == kExitUsage);
  CHECK(has(nothing.text, "there is no help about \"rnu\""));
}

TEST_CASE("help and version are answers") {
  for (const char* wanted : {"--version", "-V", "version"}) {
    CHECK(answer({wanted}).text == std::string("leat ") + LEAT_VERSION + "\n");
  }
  CHECK(has(answer({"--help"}).text, "explain"));
  Answer run = answer({"run", "--help"});
  CHECK(run.exit_code == kExitOk);
  CHECK(has(run.text, "--strict"));
  CHECK(has(run.text, "Examples"));
}

TEST_CASE("options of run are read wherever they stand") {
  Command command = parse_command_line({"run", "--json", "a.yaml", "--runtime-dir", "/x", "--force"});
  REQUIRE(std::holds_alternative<RunOptions>(command));
  const auto& run = std::get<RunOptions>(command);
  CHECK(run.pipeline == "a.yaml");
  CHECK(run.json);
  CHECK(run.force);
  CHECK_FALSE(run.strict);
  CHECK(run.runtime_dir == "/x");
}

TEST_CASE("check takes several files") {
  Command command = parse_command_line({"check", "a.yaml", "b.yaml"});
  REQUIRE(std::holds_alternative<CheckOptions>(command));
  CHECK(std::get<CheckOptions>(command).pipelines.size() == 2);
}

TEST_CASE("what run is to do with its state is read") {
  Command command = parse_command_line(
      {"run", "--reread", "a", "p.yaml", "--reread", "b", "--state", "/s", "--fresh", "--accept-changes"});
  REQUIRE(std::holds_alternative<RunOptions>(command));
  const auto& run = std::get<RunOptions>(command);
  CHECK(run.pipeline == "p.yaml");
  CHECK(run.reread == std::vector<std::string>{"a", "b"});
  CHECK(run.state == "/s");
  CHECK(run.fresh);
  CHECK(run.accept_changes);
}

TEST_CASE("sources and status take a pipeline, a state folder or both, and sources not neither") {
  auto sources =
      std::get<SourcesOptions>(parse_command_line({"sources", "--state", "/s", "--state-filter", "failed"}));
  CHECK(sources.of.state == "/s");
  CHECK(sources.of.pipeline.empty());
  CHECK(sources.state_filter == "failed");
  auto status = std::get<StatusOptions>(parse_command_line({"status", "p.yaml", "--json"}));
  CHECK(status.of.pipeline == "p.yaml");
  CHECK(status.json);
  Answer refused = answer({"sources"});
  CHECK(refused.exit_code == kExitUsage);
  CHECK(has(refused.text, "--state DIR"));
  CHECK(has(refused.text, "see leat sources --help"));
  CHECK(answer({"sources", "p.yaml", "--state-filter", "lost"}).exit_code == kExitUsage);
}

TEST_CASE("dead has commands of its own") {
  auto list = std::get<DeadOptions>(parse_command_line({"dead", "ls", "p.yaml", "--json"}));
  CHECK_FALSE(list.show);
  CHECK(list.json);
  auto show = std::get<DeadOptions>(parse_command_line({"dead", "show", "x.jsonl", "3", "--record"}));
  CHECK(show.show);
  CHECK(show.from == "x.jsonl");
  CHECK(show.number == 3);
  CHECK(show.record_only);
  auto replay = std::get<ReplayOptions>(
      parse_command_line({"dead", "replay", "p.yaml", "--file", "f", "--output", "o", "--state", "/s"}));
  CHECK(replay.run.pipeline == "p.yaml");
  CHECK(replay.file == "f");
  CHECK(replay.output == "o");
  CHECK(replay.run.state == "/s");
  CHECK(answer({"dead"}).exit_code == kExitUsage);
  CHECK(has(answer({"dead", "show", "p.yaml"}).text, "see leat dead show --help"));
  CHECK(answer({"dead", "show", "p.yaml", "0"}).exit_code == kExitUsage);
  CHECK(has(answer({"dead", "replay", "--help"}).text, "--output"));
}

TEST_CASE("status asks leatd about all, about one by its name, and not about a file") {
  auto all = std::get<StatusOptions>(parse_command_line({"status", "--runtime-dir", "/r"}));
  CHECK(all.of.pipeline.empty());
  CHECK(all.runtime_dir == "/r");
  test::Folder folder;
  folder.write("reviews", "");
  CHECK_FALSE(is_leatds(""));
  CHECK_FALSE(is_leatds(folder.path("reviews")));
  CHECK_FALSE(is_leatds("reviews.yaml"));
  CHECK_FALSE(is_leatds("Reviews"));
  CHECK_FALSE(is_leatds(std::string(33, 'a')));
  CHECK(is_leatds("no-such-file-7"));
  std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.root());
  std::filesystem::create_directory("folder");
  CHECK_FALSE(is_leatds("reviews"));
  CHECK(is_leatds("folder"));
  std::filesystem::current_path(before);
}

TEST_CASE("scale takes a pipeline, processor, and a number or auto") {
  auto six = std::get<ChangeOptions>(parse_command_line({"scale", "reviews", "processor", "6", "--json"}));
  CHECK(six.command == "scale");
  CHECK(six.pipeline == "reviews");
  CHECK(six.workers == 6);
  CHECK(six.json);
  CHECK_FALSE(std::get<ChangeOptions>(parse_command_line({"scale", "reviews", "processor", "auto"})).workers);
  for (const char* bad : {"-1", "65", "six", "1.5", "", "6x"}) {
    CHECK(answer({"scale", "reviews", "processor", bad}).exit_code == kExitUsage);
  }
  CHECK(has(answer({"scale", "reviews", "processor", "six"}).text, "0 to 64, or auto; got \"six\""));
  CHECK(answer({"scale", "reviews", "writer", "2"}).exit_code == kExitUsage);
  CHECK(answer({"scale", "reviews", "processor"}).exit_code == kExitUsage);
}

TEST_CASE("pause, resume, drain and stop take a name or --all, and not both") {
  for (const char* command : {"pause", "resume", "drain", "stop"}) {
    auto one = std::get<ChangeOptions>(parse_command_line({command, "reviews", "--runtime-dir", "/r"}));
    CHECK(one.command == command);
    CHECK(one.pipeline == "reviews");
    CHECK(one.runtime_dir == "/r");
    CHECK_FALSE(one.all);
    CHECK(std::get<ChangeOptions>(parse_command_line({command, "--all"})).all);
    CHECK(has(answer({command}).text, "NAME or --all"));
    CHECK(has(answer({command}).text, std::string("see leat ") + command + " --help"));
    CHECK(answer({command, "reviews", "--all"}).exit_code == kExitUsage);
  }
}

TEST_CASE("reload takes nothing") {
  CHECK(std::get<ChangeOptions>(parse_command_line({"reload"})).command == "reload");
  CHECK(answer({"reload", "reviews"}).exit_code == kExitUsage);
  CHECK(has(answer({"reload", "--help"}).text, "leaves the old one running"));
}
