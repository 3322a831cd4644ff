#include "proto/base/fields.h"

#include <doctest/doctest.h>

#include <array>
#include <limits>

using namespace leat;

namespace {

enum class Colour : std::uint8_t { kRed, kBlue };
constexpr auto names_of(Colour) {
  return std::to_array<std::pair<Colour, std::string_view>>({{Colour::kRed, "red"}, {Colour::kBlue, "blue"}});
}

class Even {
 public:
  static Result<Even> parse(std::string_view text) {
    if (text.size() % 2 != 0) return fail(Fault::kReject, "odd");
    Even even;
    even.text_ = text;
    return even;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

struct Leaf {
  std::string text;
  std::vector<Leaf> children;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("text", self.text, "children", self.children);
  }
};

struct All {
  bool yes = false;
  int small = 0;
  std::uint8_t byte = 0;
  double real = 0;
  std::chrono::milliseconds time{0};
  Colour colour = Colour::kRed;
  Leaf leaf;
  std::optional<Leaf> none, some;
  std::vector<std::pair<std::string, std::uint64_t>> pairs;
  std::vector<Colour> colours;
  Even even;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("yes", self.yes, "small", self.small, "byte", self.byte, "real", self.real);
    archive("time", self.time, "colour", self.colour, "leaf", self.leaf, "none", self.none, "some",
            self.some);
    archive("pairs", self.pairs, "colours", self.colours, "even", self.even);
  }
};

const std::string kAll =
    R"({"yes":true,"small":-5,"byte":255,"real":0.25,"time":1500,"colour":"blue",)"
    R"("leaf":{"text":"a","children":[{"text":"b","children":[]}]},"none":null,"some":{"text":"c","children":[]},)"
    R"("pairs":[{"first":"x","second":18446744073709551615}],"colours":["blue","red"],"even":"ab"})";

std::string problem(std::string from, const std::string& what, const std::string& with) {
  from.replace(from.find(what), what.size(), with);
  auto decoded = decode_fields<All>(from, "all");
  return decoded ? "" : decoded.error().text;
}

}  // namespace

TEST_CASE("members of every kind are written and read back") {
  const All all{true,
                -5,
                255,
                0.25,
                std::chrono::milliseconds(1500),
                Colour::kBlue,
                {"a", {{"b", {}}}},
                {},
                Leaf{"c", {}},
                {{"x", std::numeric_limits<std::uint64_t>::max()}},
                {Colour::kBlue, Colour::kRed},
                *Even::parse("ab")};
  CHECK(encode_fields(all) == kAll);
  auto decoded = decode_fields<All>(kAll, "all");
  REQUIRE(decoded);
  CHECK(encode_fields(*decoded) == kAll);
  CHECK_FALSE(decoded->none);
  CHECK(decoded->small == -5);
}

TEST_CASE("what a member cannot hold is refused with its place") {
  CHECK(problem(kAll, "255", "256") == "all: 'byte' is missing or of another type");
  CHECK(problem(kAll, "true", "1") == "all: 'yes' is missing or of another type");
  CHECK(problem(kAll, "-5", "2147483648").find("'small'") != std::string::npos);
  CHECK(problem(kAll, "1500", "1.5").find("'time'") != std::string::npos);
  CHECK(problem(kAll, "blue\",\"leaf", "green\",\"leaf").find("'colour'") != std::string::npos);
  CHECK(problem(kAll, "\"b\"", "7").find("'leaf.children[0].text'") != std::string::npos);
  CHECK(problem(kAll, "\"red\"", "\"?\"").find("'colours[1]'") != std::string::npos);
  CHECK(problem(kAll, "18446744073709551615", "-1").find("'pairs[0].second'") != std::string::npos);
  CHECK(problem(kAll, "\"ab\"", "\"abc\"").find("'even'") != std::string::npos);
  CHECK(problem(kAll, "null", "{}").find("'none.text'") != std::string::npos);
  CHECK(problem(kAll, "[{\"text\":\"b\",\"children\":[]}]", "{}").find("'leaf.children'") !=
        std::string::npos);
}

TEST_CASE("a key that is missing, unknown or twice there is refused, also of a struct within") {
  CHECK(problem(kAll, "\"none\":null,", "").find("'none'") != std::string::npos);
  CHECK(problem(kAll, "\"none\":", "\"new\":1,\"none\":").find("12 keys are expected, 13 came") !=
        std::string::npos);
  CHECK(problem(kAll, "\"none\":", "\"yes\":true,\"none\":").find("13 came") != std::string::npos);
  CHECK(problem(kAll, "\"text\":\"c\"", "\"new\":1,\"text\":\"c\"").find("'some'") != std::string::npos);
  CHECK(problem(kAll, kAll, "[]") == "all: expected a JSON object");
}

TEST_CASE("structs in each other have a depth that the stack can take") {
  auto nested = [](int depth) {
    std::string text = R"({"text":"","children":[]})";
    for (int i = 1; i < depth; ++i) text = R"({"text":"","children":[)" + text + "]}";
    return decode_fields<Leaf>(text, "leaf").has_value();
  };
  CHECK(nested(200));
  CHECK_FALSE(nested(2000));
}
