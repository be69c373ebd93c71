// Random words and numbers, the same on every machine.
#ifndef ONDINE_SRC_EVAL_RULER_RANDOM_H_
#define ONDINE_SRC_EVAL_RULER_RANDOM_H_

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"

namespace ondine::eval {

// English words, all different, none of which is part of another.
std::vector<std::string> EnglishWords();

std::string RandomKey(base::Random& random);     // "copper-lantern"
std::string RandomNumber(base::Random& random);  // seven digits
std::string RandomUuid(base::Random& random);    // version 4, lower case
std::string RandomLetters(base::Random& random, int length,
                          char first);  // 'a' or 'A': 26 letters from it

// `count` texts of `draw` that differ from each other and from those in `taken`, where they are
// put.
std::vector<std::string> DrawDistinct(int count, const std::function<std::string()>& draw,
                                      std::set<std::string>& taken);

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_RULER_RANDOM_H_
