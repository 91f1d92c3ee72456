local function scattered(i) return i * 7919 % 1000003 end
return function()
  local m = {}
  for i = 0, 99999 do m[scattered(i)] = i * 2 end
  local sum = 0
  for i = 0, 99999 do sum = sum + m[scattered(i)] end
  return sum
end
