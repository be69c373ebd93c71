// Early return for Result<T> and Status.
#ifndef ONDINE_SRC_BASE_TRY_H_
#define ONDINE_SRC_BASE_TRY_H_

#include "ondine/result.h"

#define ONDINE_CONCAT_INNER(a, b) a##b
#define ONDINE_CONCAT(a, b) ONDINE_CONCAT_INNER(a, b)

// Returns the error of `expression`, a Status or Result, from the enclosing function.
#define ONDINE_TRY(expression)                                                        \
  do {                                                                                \
    auto ondine_status = (expression);                                                \
    if (!ondine_status) return tl::make_unexpected(std::move(ondine_status).error()); \
  } while (false)

// ONDINE_ASSIGN(auto x, F()): declares x with the value of F(), or returns its error.
// NOLINTBEGIN(bugprone-macro-parentheses): a declaration cannot stand in parentheses.
#define ONDINE_ASSIGN(declaration, expression) \
  ONDINE_ASSIGN_IMPL(ONDINE_CONCAT(ondine_result_, __LINE__), declaration, expression)
#define ONDINE_ASSIGN_IMPL(result, declaration, expression)           \
  auto result = (expression);                                         \
  if (!result) return tl::make_unexpected(std::move(result).error()); \
  declaration = std::move(*result)
// NOLINTEND(bugprone-macro-parentheses)

#endif  // ONDINE_SRC_BASE_TRY_H_
