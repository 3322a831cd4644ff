#include "daemon/cli/man.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "proto/base/human.h"

namespace leat::cli {

namespace {

constexpr std::size_t kIndent = 4;

std::string_view next_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

// "\-" is -, "\e" is \, and fonts (\fB) and \& are nothing.
std::string without_escapes(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\\' || at + 1 == text.size()) {
      out += text[at];
      continue;
    }
    const char escape = text[++at];
    if (escape == '-') out += '-';
    if (escape == 'e') out += '\\';
    if (escape == 'f') ++at;
  }
  return out;
}

// The arguments of a macro: between blanks, or in double quotes.
std::vector<std::string> arguments_of(std::string_view line) {
  std::vector<std::string> arguments;
  for (std::size_t at = 0; at < line.size();) {
    if (line[at] == ' ') {
      ++at;
      continue;
    }
    const bool quoted = line[at] == '"';
    if (quoted) ++at;
    const std::size_t end = std::min(line.find(quoted ? '"' : ' ', at), line.size());
    arguments.push_back(without_escapes(line.substr(at, end - at)));
    at = end + 1;
  }
  return arguments;
}

class Renderer {
 public:
  explicit Renderer(std::size_t width) : width_(width) {}

  void line(std::string_view line) {
    if (!line.starts_with('.')) return text(without_escapes(line));
    const std::string_view name = line.substr(1, line.find(' ') - 1);
    const std::string_view rest = line.substr(std::min(line.size(), name.size() + 2));
    macro(name, rest);
  }

  std::string take() {
    flush();
    return std::move(out_);
  }

 private:
  void macro(std::string_view name, std::string_view rest) {
    if (name == "TH") return;
    if (name == "SH" || name == "SS") return heading(without_escapes(rest), name == "SH" ? 0 : kIndent / 2);
    if (name == "TP" || name == "PP" || name == "RS" || name == "RE") return paragraph(name);
    if (name == "EX" || name == "EE" || name == "br") {
      flush();
      if (name != "br") filled_ = name == "EE";
      return;
    }
    // Two letters are two fonts in turn, without blanks between the arguments.
    text(fmt::format("{}", fmt::join(arguments_of(rest), name.size() == 1 ? " " : "")));
  }

  void heading(std::string_view title, std::size_t indent) {
    flush();
    if (!out_.empty()) out_ += '\n';
    out_ += fmt::format("{}{}\n", std::string(indent, ' '), title);
    base_ = indent_ = kIndent;
  }

  void paragraph(std::string_view name) {
    flush();
    if (name == "RS") base_ += kIndent;
    if (name == "RE") base_ -= kIndent;
    indent_ = base_;
    tag_ = name == "TP";
    if (name == "PP") out_ += '\n';
  }

  void text(std::string_view text) {
    if (!filled_) {
      out_ += fmt::format("{}{}\n", std::string(indent_, ' '), text);
    } else if (tag_) {
      out_ += fmt::format("{}{}\n", std::string(base_, ' '), text);
      indent_ = base_ + kIndent;
      tag_ = false;
    } else {
      for (std::string_view word : words(text)) put(word);
    }
  }

  static std::vector<std::string_view> words(std::string_view text) {
    std::vector<std::string_view> found;
    for (std::size_t at = 0; (at = text.find_first_not_of(' ', at)) != std::string_view::npos;) {
      const std::size_t end = std::min(text.find(' ', at), text.size());
      found.push_back(text.substr(at, end - at));
      at = end;
    }
    return found;
  }

  void put(std::string_view word) {
    if (!row_.empty() && columns(row_) + 1 + columns(word) > width_) flush();
    row_ += row_.empty() ? std::string(indent_, ' ') : " ";
    row_ += word;
  }

  void flush() {
    if (!row_.empty()) out_ += row_ + "\n";
    row_.clear();
  }

  std::size_t width_;
  std::string out_;
  std::string row_;  // what is filled up with words
  std::size_t base_ = kIndent;
  std::size_t indent_ = kIndent;
  bool filled_ = true;
  bool tag_ = false;  // the next text is what the paragraph is about
};

// Is a heading such as "sources NAME, dead ls NAME" about it? "dead" is about all that dead can do.
bool is_about(std::string_view title, std::string_view subject) {
  while (!title.empty()) {
    const std::size_t end = std::min(title.find(", "), title.size());
    const std::string part = std::string(title.substr(0, end)) + " ";
    if (part.starts_with(std::string(subject) + " ")) return true;
    title.remove_prefix(std::min(end + 2, title.size()));
  }
  return false;
}

// What a page says under the headings that are about it.
std::string sections(std::string_view roff, std::string_view subject) {
  std::string found;
  bool about = false;
  while (!roff.empty()) {
    const std::string_view line = next_line(roff);
    if (line.starts_with(".SH ")) about = false;
    if (line.starts_with(".SS ")) about = is_about(line.substr(4), subject);
    if (about) found += std::string(line) + "\n";
  }
  return found;
}

}  // namespace

std::string render_man(std::string_view roff, std::size_t width) {
  Renderer renderer(width);
  while (!roff.empty()) renderer.line(next_line(roff));
  return renderer.take();
}

std::optional<std::string> help_about(std::string_view subject, std::size_t width) {
  for (const ManPage& page : man_pages()) {
    if (subject == page.name || page.name == "leat-" + std::string(subject))
      return render_man(page.text, width);
  }
  for (const ManPage& page : man_pages()) {
    if (page.name != "leat") continue;
    if (const std::string found = sections(page.text, subject); !found.empty())
      return render_man(found, width);
  }
  return std::nullopt;
}

}  // namespace leat::cli
