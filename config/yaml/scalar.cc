#include "config/yaml/scalar.h"

#include <fmt/format.h>

#include "config/text.h"

namespace leat::config {
namespace {

std::size_t digits(std::string_view text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
  return end - at;
}

// RFC 8259, section 6.
bool is_json_number(std::string_view text) {
  std::size_t at = text.starts_with('-') ? 1 : 0;
  const std::size_t whole = digits(text, at);
  if (whole == 0 || (whole > 1 && text[at] == '0')) return false;
  at += whole;
  if (at < text.size() && text[at] == '.') {
    const std::size_t fraction = digits(text, ++at);
    if (fraction == 0) return false;
    at += fraction;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    const std::size_t exponent = digits(text, at);
    if (exponent == 0) return false;
    at += exponent;
  }
  return at == text.size();
}

bool all_of(std::string_view text, std::string_view allowed) {
  return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
}

// A number by the core schema of YAML 1.2 or by YAML 1.1, but not by JSON.
bool is_yaml_number(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  for (const std::string_view special : {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"}) {
    if (text == special) return true;
  }
  if (text.starts_with("0x")) return all_of(text.substr(2), "0123456789abcdefABCDEF_");
  if (text.starts_with("0o")) return all_of(text.substr(2), "01234567");
  if (text.starts_with("0b")) return all_of(text.substr(2), "01_");
  if (text.empty() || digits(text, text[0] == '.' ? 1 : 0) == 0) return false;
  // without underscores, filled up to JSON's grammar: ".5" -> "0.5", "1." -> "1.0", "007" -> "7"
  std::string plain;
  for (const char c : text) {
    if (c != '_') plain += c;
  }
  if (plain.starts_with('.')) plain.insert(0, 1, '0');
  while (plain.size() > 1 && plain[0] == '0' && plain[1] >= '0' && plain[1] <= '9') plain.erase(0, 1);
  const std::size_t dot = plain.find('.');
  if (dot != std::string::npos && digits(plain, dot + 1) == 0) plain.insert(dot + 1, 1, '0');
  return is_json_number(plain);
}

}  // namespace

Scalar scalar_type(const Node& node) {
  if (node.kind == Node::Kind::kNull) return Scalar::kNull;
  if (node.kind == Node::Kind::kQuoted) return Scalar::kString;
  if (node.kind != Node::Kind::kPlain) return Scalar::kNone;
  if (node.text == "true") return Scalar::kTrue;
  if (node.text == "false") return Scalar::kFalse;
  if (is_json_number(node.text)) return Scalar::kNumber;
  for (const std::string_view odd : {"True", "TRUE", "False", "FALSE"}) {
    if (node.text == odd) return Scalar::kOdd;
  }
  return is_yaml_number(node.text) ? Scalar::kOdd : Scalar::kString;
}

std::string describe(const Node& node) {
  if (node.kind == Node::Kind::kList) return "a list";
  if (node.kind == Node::Kind::kMap) return "a mapping";
  switch (scalar_type(node)) {
    case Scalar::kNull:
      return "nothing (null)";
    case Scalar::kNumber:
      return fmt::format("the number {:.60}", node.text);
    case Scalar::kTrue:
    case Scalar::kFalse:
    case Scalar::kOdd:
      return fmt::format("{:.60}", node.text);
    default:
      return in_quotes(node.text);
  }
}

}  // namespace leat::config
