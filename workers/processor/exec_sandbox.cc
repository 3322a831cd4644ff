#include "workers/processor/exec_sandbox.h"

#include <linux/capability.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string_view>

namespace leat::processor {

using stage::kChange;
using stage::kExecute;
using stage::kRead;
using stage::kWrite;

stage::Policy policy_of(const config::Step& step, const std::string& temp) {
  stage::Policy policy;
  policy.paths = {{"/", kRead | kExecute}, {temp, kChange}};
  for (const char* device : {"/dev/null", "/dev/zero", "/dev/full"}) policy.paths.push_back({device, kWrite});
  for (const std::string& folder : step.write) policy.paths.push_back({folder, kChange});
  policy.run_programs = policy.start_processes = true;
  policy.change_attributes = step.file_attributes;
  policy.sockets = {AF_INET, AF_INET6, AF_NETLINK};
  if (step.unix_sockets) policy.sockets.push_back(AF_UNIX);
  // Root's programs read files of others, as root does; all else that root may is gone.
  policy.keep_capabilities = 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_DAC_READ_SEARCH;
  return policy;
}

std::vector<std::string> environment_of(const config::Step& step, const std::string& temp) {
  constexpr std::string_view kPassed[] = {"PATH", "HOME",     "USER", "LOGNAME", "SHELL",
                                          "LANG", "LANGUAGE", "TZ",   "TERM"};
  std::map<std::string, std::string> variables;
  for (std::string_view name : kPassed) {
    if (const char* value = std::getenv(name.data())) variables[std::string(name)] = value;
  }
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    const std::size_t equals = text.find('=');
    if (text.starts_with("LC_") && equals != std::string_view::npos)
      variables[std::string(text.substr(0, equals))] = text.substr(equals + 1);
  }
  variables["TMPDIR"] = temp;
  for (const auto& [name, value] : step.environment) {
    const char* passed = std::getenv(name.c_str());
    if (value) {
      variables[name] = *value;
    } else if (passed != nullptr) {
      variables[name] = passed;
    }
  }
  std::vector<std::string> environment;
  environment.reserve(variables.size());
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  return environment;
}

std::string temp_root() {
  const char* chosen = std::getenv("TMPDIR");
  return chosen != nullptr && *chosen == '/' ? chosen : "/tmp";
}

}  // namespace leat::processor
