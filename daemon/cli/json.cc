#include "daemon/cli/json.h"

namespace leat::cli {

void Json::string(std::string_view value) {
  std::string valid;
  if (!is_utf8(value)) {
    // Byte by byte is enough: such text is rare, and only has to stay readable.
    for (char byte : value) {
      if (static_cast<unsigned char>(byte) < 0x80)
        valid += byte;
      else
        valid += "\xEF\xBF\xBD";
    }
    value = valid;
  }
  writer_.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
}

}  // namespace leat::cli
