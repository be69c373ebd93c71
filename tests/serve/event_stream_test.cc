#include "serve/event_stream.h"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include <vector>

namespace ondine::serve {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Events(const std::vector<std::string>& pieces) {
  std::vector<std::string> events;
  EventStream stream;
  for (const std::string& piece : pieces) {
    EXPECT_TRUE(stream.Push(piece, [&](std::string_view data) {
      events.emplace_back(data);
      return true;
    }));
  }
  return events;
}

// The examples of the standard, section 9.2.6.
TEST(EventStream, ReadsWhatTheStandardShows) {
  EXPECT_THAT(Events({"data: YHOO\ndata: +2\ndata: 10\n\n"}), ElementsAre("YHOO\n+2\n10"));
  EXPECT_THAT(Events({": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n"
                      "data:  third event\n\n"}),
              ElementsAre("first event", "second event", " third event"));
  EXPECT_THAT(Events({"data:test\n\ndata: test\n\n"}), ElementsAre("test", "test"));
  EXPECT_THAT(Events({"data: never ended\n"}), IsEmpty());
  EXPECT_THAT(Events({"database: x\n\nevent: y\n\n"}), IsEmpty());
  // One byte order mark, at the beginning, does not count.
  EXPECT_THAT(Events({"\xef\xbb",
                      "\xbf"
                      "data: x\n\n\xef\xbb\xbf"
                      "data: y\n\n"}),
              ElementsAre("x"));
}

RC_GTEST_PROP(EventStreamProperty, DoesNotCareHowItIsCut, ()) {
  const std::string text =
      "data: " +
      *rc::gen::container<std::string>(rc::gen::elementOf(std::string("data: \r\n:x{"))) + "\n\n";
  std::vector<std::string> bytes;
  for (const char c : text) bytes.emplace_back(1, c);
  RC_ASSERT(Events({text}) == Events(bytes));
}

TEST(EventStream, EndsWhereItsReaderWantsNoMoreOrAnEventIsTooLarge) {
  EventStream stream;
  int events = 0;
  const auto once = [&](std::string_view) { return ++events > 1; };
  EXPECT_FALSE(stream.Push("data: a\n\ndata: b\n\n", once));
  EXPECT_FALSE(stream.Push("data: c\n\n", once));
  EXPECT_EQ(events, 1);

  EventStream large;
  const auto never = [](std::string_view) { return true; };
  const std::string line = "data: " + std::string(1000, 'x') + "\n";
  bool goes_on = true;
  std::size_t pushed = 0;
  for (; goes_on && pushed < 2 * EventStream::kLargestEvent; pushed += line.size()) {
    goes_on = large.Push(line, never);
  }
  EXPECT_FALSE(goes_on);
}

}  // namespace
}  // namespace ondine::serve
