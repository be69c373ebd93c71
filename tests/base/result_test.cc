#include "ondine/result.h"

#include <gtest/gtest.h>

#include <string>

#include "base/quote.h"
#include "base/try.h"

namespace ondine {
namespace {

Result<int> Positive(int number) {
  if (number > 0) return number;
  return MakeError(ErrorCode::kInvalidArgument, "must be positive", "--number");
}

Result<int> Sum(int a, int b) {
  ONDINE_ASSIGN(const int first, Positive(a));
  ONDINE_ASSIGN(const int second, Positive(b));
  return first + second;
}

Status Check(int a) {
  ONDINE_TRY(Positive(a));
  return {};
}

TEST(Error, PrintsContextBeforeMessage) {
  EXPECT_EQ(Positive(0).error().ToString(), "--number: must be positive");
  EXPECT_EQ((Error{ErrorCode::kIo, "disk full", ""}).ToString(), "disk full");
  EXPECT_STREQ(ErrorCodeName(ErrorCode::kCorrupt), "corrupt");
}

TEST(Try, PassesValuesAndErrorsOn) {
  EXPECT_EQ(Sum(2, 3).value(), 5);
  EXPECT_EQ(Sum(2, -3).error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(Check(1));
  EXPECT_EQ(Check(-1).error().context, "--number");
}

TEST(Quote, KeepsOneLineOfPrintableText) {
  EXPECT_EQ(base::Quote("blk.0.attn_q"), "'blk.0.attn_q'");
  EXPECT_EQ(base::Quote("a\nb\x1b[2J\\\xff"), "'a\\x0ab\\x1b[2J\\x5c\\xff'");
  EXPECT_EQ(base::Quote(std::string(64, 'x')), "'" + std::string(64, 'x') + "'");
  EXPECT_EQ(base::Quote(std::string(65, 'x')), "'" + std::string(64, 'x') + "'...");
}

}  // namespace
}  // namespace ondine
