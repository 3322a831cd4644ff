#include "daemon/cli/app.h"

#include <doctest/doctest.h>

#include "daemon/cli/plan.h"
#include "proto/result.h"

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
  CHECK(has(unknown.text, "run, check, explain"));
  CHECK(has(unknown.text, "did you mean \"check\""));
}

TEST_CASE("mistakes in usage are 64 with a hint at the right help") {
  CHECK(has(answer({}).text, "a command is needed"));
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {}, {"run"}, {"run", "a.yaml", "b.yaml"}, {"run", "a.yaml", "--folow"}, {"--nonsense"}}) {
    CHECK(answer(arguments).exit_code == kExitUsage);
  }
  CHECK(has(answer({"run"}).text, "see leat run --help"));
}

TEST_CASE("help and version are answers") {
  CHECK(answer({"--version"}).text == std::string("leat ") + LEAT_VERSION + "\n");
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

TEST_CASE("what the reader lists is read, and anything else refused") {
  auto listing =
      parse_listing(R"({"files":[{"path":"/a","bytes":5}],"skipped":[{"path":"/b","reason":"hidden"}]})");
  REQUIRE(listing);
  CHECK(listing->files.at(0).bytes == 5);
  CHECK(listing->skipped.at(0).reason == "hidden");
  for (const char* bad : {"", "[]", "{}", R"({"files":5})"}) CHECK_FALSE(parse_listing(bad));
}

TEST_CASE("a pipeline file that is not there is one problem") {
  Plan plan = load_plan("/nowhere/p.yaml");
  REQUIRE(plan.problems.size() == 1);
  CHECK(has(plan.problems[0].text, "No such file"));
}

TEST_CASE("steps are told as text") {
  config::Step step;
  step.op = config::Step::Op::kRename;
  step.moves = {{*config::Pointer::parse("/a"), *config::Pointer::parse("/b")},
                {*config::Pointer::parse("/c"), *config::Pointer::parse("/d")}};
  CHECK(describe(step) == "rename /a to /b, /c to /d");
}
