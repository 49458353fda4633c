"""A contact sheet: pictures in rows, each above its prompt."""

import textwrap

from PIL import Image, ImageDraw, ImageFont

ACROSS = 6
WORDS = 44  # pixels below a picture
GAP = 6
LETTERS = 26  # of a line


def contact_sheet(pictures, prompts: list[str]) -> Image.Image:
    """uint8 pictures of one size, `ACROSS` in a row, with up to four lines of prompt below each."""
    side = pictures[0].shape[0]
    rows = -(-len(pictures) // ACROSS)
    sheet = Image.new("RGB", (ACROSS * (side + GAP) + GAP, rows * (side + WORDS + GAP) + GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=9)
    for k, (picture, prompt) in enumerate(zip(pictures, prompts)):
        x, y = GAP + k % ACROSS * (side + GAP), GAP + k // ACROSS * (side + WORDS + GAP)
        sheet.paste(Image.fromarray(picture), (x, y))
        pen.multiline_text((x, y + side + 1), "\n".join(textwrap.wrap(prompt, LETTERS)[:4]), fill="black", font=font, spacing=1)
    return sheet
