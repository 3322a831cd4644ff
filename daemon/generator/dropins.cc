#include "daemon/generator/dropins.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

#include "config/yaml/parse.h"

namespace leat::generator {

namespace fs = std::filesystem;

namespace {

// What every processor sees anyway, and what no pipeline may hand it: a bind over these would undo the sandbox.
bool is_taken(const fs::path& path) {
  static const std::set<std::string> kTops = {"usr",  "bin", "sbin", "lib", "lib64",
                                              "proc", "sys", "dev",  "run"};
  fs::path below = path.relative_path();
  return below.empty() || kTops.contains(below.begin()->string());
}

void add(std::set<std::string>& paths, const fs::path& path) {
  fs::path normal = path.lexically_normal();
  if (!normal.has_filename() && normal.has_relative_path()) normal = normal.parent_path();  // "/srv/scripts/"
  if (!is_taken(normal)) paths.insert(normal.string());
}

void add_word(std::set<std::string>& paths, std::string_view word, const fs::path& folder) {
  if (std::size_t equals = word.find("=/"); word.starts_with("-") && equals != std::string_view::npos)
    word.remove_prefix(equals + 1);
  if (word.starts_with("/")) {
    add(paths, word);
  } else if (word.find("../") != std::string_view::npos) {
    add(paths, folder / word);
  }
}

// .../venv/bin/python is a link to the system's Python, and its libraries are elsewhere in .../venv.
void add_environment(std::set<std::string>& paths, const fs::path& program) {
  fs::path environment = program.parent_path().parent_path();
  std::error_code ignored;
  if (program.parent_path().filename() == "bin" && fs::exists(environment / "pyvenv.cfg", ignored))
    add(paths, environment);
}

// For a path in BindReadOnlyPaths=: separators and specifiers escaped. "" when that is not possible.
std::string unit_word(const std::string& path) {
  std::string out = "-";
  for (char c : path) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '"' || c == '\'') return "";
    if (c == ' ' || c == ':' || c == '\\') out += '\\';
    if (c == '%') out += '%';
    out += c;
  }
  return out;
}

// A folder and a file for each instance: systemd overlooks folders that are links to one another.
void write_dropin(const config::Pipeline& pipeline, const fs::path& out_dir) {
  const std::string text = dropin_text(pipeline);
  for (int n = 0; n < kInstances; ++n) {
    fs::path folder = out_dir / fmt::format("leat-processor@{}-{}.service.d", pipeline.name, n);
    if (!fs::create_directory(folder))
      throw std::runtime_error(fmt::format("another file has a pipeline named {} too", pipeline.name));
    std::ofstream file(folder / "50-leat-pipeline.conf");
    file << text;
    if (!file.flush()) throw std::runtime_error(fmt::format("cannot write {}", folder.string()));
  }
}

}  // namespace

std::vector<std::string> paths_of(const config::Pipeline& pipeline) {
  std::set<std::string> paths;
  for (const config::Step& step : pipeline.process.steps) {
    if (step.op != config::Step::Op::kExec) continue;
    add(paths, pipeline.base_dir);
    for (const std::string& word : step.command) add_word(paths, word, pipeline.base_dir);
    if (!step.command.empty()) add_environment(paths, fs::path(pipeline.base_dir) / step.command.front());
  }
  return {paths.begin(), paths.end()};
}

std::string dropin_text(const config::Pipeline& pipeline) {
  std::string text =
      fmt::format("# By leat-generator, for the exec steps of {}.\n[Service]\n", pipeline.name);
  for (const std::string& path : paths_of(pipeline)) {
    if (std::string word = unit_word(path); !word.empty())
      text += fmt::format("BindReadOnlyPaths={}\n", word);
  }
  std::set<std::string> written;
  for (const config::Step& step : pipeline.process.steps) {
    for (const std::string& path : step.write) add(written, path);
  }
  for (const std::string& path : written) {
    if (std::string word = unit_word(path); !word.empty()) text += fmt::format("BindPaths={}\n", word);
  }
  return text;
}

std::vector<std::string> write_dropins(const std::string& config_dir, const std::string& out_dir) {
  std::vector<std::string> wrong;
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(fs::path(config_dir) / "pipelines.d", error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() == ".yaml") files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    try {
      config::Parsed parsed = config::load_pipeline(file.string());
      for (const config::Problem& problem : parsed.problems) wrong.push_back(config::to_string(problem));
      if (parsed.problems.empty() && !paths_of(parsed.pipeline).empty())
        write_dropin(parsed.pipeline, out_dir);
    } catch (const std::exception& failure) {
      wrong.push_back(fmt::format("{}: {}", file.string(), failure.what()));
    }
  }
  return wrong;
}

}  // namespace leat::generator
