// A request to leatd from anybody: an error in words, or a request whose parts are what they are promised to be.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "daemon/control/request.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace leat::control;
  auto request = decode_request(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!request) {
    if (request.error().text.empty() || request.error().exit_code == 0) std::abort();
    return 0;
  }
  if (!request->pipeline.empty() && !is_name(request->pipeline)) std::abort();
  if (request->workers && *request->workers > kMaxWorkers) std::abort();
  for (const auto& argument : request->arguments) {
    if (argument.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos)
      std::abort();
  }
  std::string line = encode(*request);
  line.pop_back();
  auto again = decode_request(line);
  if (!again || encode(*again) != line + "\n") std::abort();
  return 0;
}
