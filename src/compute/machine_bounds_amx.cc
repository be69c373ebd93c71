#include <immintrin.h>

#include <cstdint>

#include "compute/machine_bounds_units.h"
#include "compute/tiles_amx.h"

namespace ondine::compute {

double RunInt8ProductsAmx(std::int64_t rounds, std::int32_t* sink) {
  const TileScope scope;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (std::int64_t i = 0; i < rounds; ++i) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  TileSums sums;
  _tile_stored(0, &sums, kTileRowBytes);
  *sink = sums.rows[0][0];
  constexpr double kOperations = 2.0 * kTileRows * kTileRows * kTileRowBytes;
  return static_cast<double>(rounds) * 4 * kOperations;
}

}  // namespace ondine::compute
