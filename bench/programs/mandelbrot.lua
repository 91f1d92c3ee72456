local function inside(cr, ci)
  local zr, zi = 0.0, 0.0
  for _ = 1, 50 do
    local rr, ii = zr * zr, zi * zi
    if rr + ii > 4.0 then return 0 end
    zi = 2.0 * (zr * zi) + ci
    zr = rr - ii + cr
  end
  return 1
end

return function()
  local count = 0
  for y = 0, 199 do
    for x = 0, 199 do count = count + inside(x * 0.015 - 2.0, y * 0.015 - 1.5) end
  end
  return count
end
