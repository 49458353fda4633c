"""The many ways to ask for a description; "picture" stands for any of its synonyms."""

CAPTION = (
    "What's in this picture?", "What's in this picture?", "What's in this picture?", "What is in this picture?", "What is in this picture?",
    "What is in the picture?", "What's in the picture?", "Describe the picture.", "Describe this picture.", "Describe the picture.",
    "Please describe this picture.", "Please describe the picture.", "Can you describe this picture?", "Can you describe the picture?",
    "Could you describe this picture for me?", "What do you see?", "What do you see in this picture?", "What do you see in the picture?",
    "What can you see?", "What can you see in this picture?", "What does this picture show?", "What does the picture show?",
    "What is shown in this picture?", "What is shown in the picture?", "What is this?", "What's this?", "What is this picture about?",
    "What is this a picture of?", "Caption this picture.", "Write a caption for this picture.", "Write a caption.", "Caption:",
    "Give a short caption for the picture.", "Generate a caption for the picture.", "Provide a caption.", "Give me a caption.",
    "Describe the picture in one sentence.", "Describe this picture in one sentence.", "Describe this picture briefly.",
    "Describe the picture briefly.", "Briefly describe the picture.", "Give a brief description of the picture.", "Summarise this picture.",
    "Summarize the picture.", "Tell me about this picture.", "Tell me what you see.", "Tell me what is in the picture.",
    "What is happening in this picture?", "What is going on in this picture?", "What's happening in the picture?", "Explain this picture.",
    "What is depicted in this picture?", "What does this picture depict?", "Describe what you see.", "Describe it.", "Describe this.",
    "Describe the scene.", "Describe what is shown.", "Can you tell me what is in this picture?", "Can you see this picture?",
    "Say what you see.", "Look at this picture. What is in it?", "Analyze this picture.", "Analyse the picture.", "Give a description.",
    "What's going on here?", "What am I looking at?", "What do we see here?", "Write one sentence about this picture.", "Describe the content of this picture.",
    "What is the content of the picture?", "What are the contents of this picture?", "Identify what is in this picture.", "describe",
    "Recognise what is in the picture.", "What is visible in the picture?", "Provide a description of the picture.", "Explain what you see in this picture.",
    "What's in these pictures?", "What are in these pictures?", "Please tell me what this picture shows.", "Describe the attached picture.",
    "Describe the following picture.", "Please describe what's in this picture.", "Describe the picture for a blind person.",
    "Write alt text for this picture.", "Alt text:", "Generate alt text for the picture.", "What would be a good title for this picture?",
)
DETAIL = (
    "Describe this picture in detail.", "Describe this picture in detail.", "Describe the picture in detail.", "Describe the picture in detail.",
    "Please describe this picture in detail.", "Give a detailed description of the picture.", "Give a detailed description.",
    "Can you describe this picture in detail?", "Describe in detail what you see.", "Describe the picture in as much detail as possible.",
    "Describe everything you see in the picture.", "Provide a detailed description of this picture.", "What do you see in this picture? Be detailed.",
    "Describe everything in detail.", "Tell me everything about this picture.", "Write a detailed caption.", "Explain the picture in detail.",
    "What is in this picture? Describe it in detail.", "Describe the picture with its background.", "Give me all the details of this picture.",
)
LIST = (
    "What shapes are in the picture?", "What shapes are in this picture?", "What shapes do you see?", "What shapes are there?",
    "Which shapes are in the picture?", "Which shapes do you see?", "List the shapes.", "List all the shapes in the picture.",
    "List the objects in this picture.", "List all objects.", "Name the shapes.", "Name all the shapes in the picture.",
    "What objects are in the picture?", "What objects are in this picture?", "What objects do you see?", "Which objects can you see?",
    "What objects are there?", "Name the objects in the picture.", "What are the shapes?", "What things are in the picture?",
    "What are the main objects in this picture?", "Which shapes and colours do you see?", "List the shapes with their colours.",
    "What are the objects in this picture?", "Identify the objects in the picture.", "Which objects does the picture contain?",
    "What figures are in the picture?", "Enumerate the shapes.", "What does the picture contain?", "What are the shapes and their colours?",
)
